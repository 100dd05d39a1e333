"""Derives the crop template of ``data/faces/crops.py`` from FER2013, and measures it on pasted faces.

Run from the checkout's root (two minutes on one core):

    python tests/reference_scripts/make_face_template.py FER2013Train FER2013Valid [--yunet FILE] [--sheet sheet.png]

The first folder gives the template, the second the residuals. Faces are pasted at 120 to 200 pixels into 400x300.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from face_fixtures import best_match, paste, pasted_place

from multimodal.data.faces.detectors import Detection, Detector, load_detector
from multimodal.data.faces.tracking import align, crop_matrix

Doubles = NDArray[np.float64]
CORNERS = np.array(((0, 0, 1), (48, 0, 1), (0, 48, 1), (48, 48, 1)), float)


def find(
    files: list[Path], detector: Detector, seed: int
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8], Detection]]:
    """Original, re-found crop, and the detection in a 48x48 frame, for each face that was found."""
    rng, actual = np.random.default_rng(seed), []
    for file in files:
        face = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if face is None:
            continue
        side, place = pasted_place(rng)
        picture = paste(np.asarray(face, np.uint8), (400, 300), place, side, rng)
        best = best_match(detector.detect(picture), side, place)
        if best is not None:
            actual.append(
                (np.asarray(face, np.uint8), align(picture, best), best.moved(-place[0], -place[1]).scaled(48 / side))
            )
    return actual


def template(actual: list[Detection]) -> Doubles:
    """Median landmarks, averaged with their mirror image: ``(5, 2)`` in shares of the side."""
    points = np.median([face.landmarks for face in actual if face.landmarks is not None], axis=0) / 48
    mirrored = points[[1, 0, 2, 4, 3]] * (-1, 1) + (1, 0)
    return np.asarray((points + mirrored) / 2)


def residuals(detections: list[Detection]) -> dict[str, float]:
    """How far a crop is from the original square: in pixels of 48, in shares, in degrees."""
    matrices = np.array([crop_matrix(face) for face in detections])
    corners = np.einsum("nij,kj->nki", matrices, CORNERS) * 48
    off = np.sqrt(((corners - CORNERS[:, :2]) ** 2).sum(axis=2).mean(axis=1))
    shift = np.linalg.norm(corners.mean(axis=1) - 24, axis=1)
    scale = 48 * np.hypot(matrices[:, 0, 0], matrices[:, 0, 1])
    turn = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    return {
        "corner median": float(np.median(off)),
        "corner mean": float(off.mean()),
        "shift median": float(np.median(shift)),
        "scale median": float(np.median(scale)),
        "scale spread (quartiles / 1.35)": float(np.subtract(*np.percentile(scale, (75, 25))) / 1.349),
        "turn mean": float(np.abs(turn).mean()),
    }


def main() -> None:
    """Prints template, box margins and residuals of each detector at hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("--yunet", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    options = parser.parse_args()
    train, valid = (sorted(folder.glob("*.png")) for folder in (options.train, options.valid))
    train = train[:: max(len(train) // options.count, 1)][: options.count]
    valid = valid[:: max(3 * len(valid) // options.count, 1)][: options.count // 3]
    names = ("mtcnn", "haar") if options.yunet is None else ("mtcnn", "yunet", "haar")
    for name in names:
        detector = load_detector(name, options.yunet if name == "yunet" else None)
        learned, held = find(train, detector, 0), find(valid, detector, 1)
        print(name, "found", len(learned) / len(train), len(held) / len(valid))
        if name != "haar":
            print("  template", template([face for _, _, face in learned]).round(4).tolist())
        boxes = np.array([face.box for _, _, face in learned]) / 48
        down = (0.5 - boxes[:, 1]) / boxes[:, 2] - boxes[:, 3] / boxes[:, 2] / 2
        print(
            "  side over box width",
            round(float(np.median(1 / boxes[:, 2])), 3),
            "shift down",
            round(float(np.median(down)), 3),
        )
        print("  residuals", {key: round(value, 3) for key, value in residuals([face for _, _, face in held]).items()})
        differences = [np.abs(face.astype(float) - crop).mean() for face, crop, _ in held]
        print("  mean absolute gray difference", round(float(np.mean(differences)), 2))
        if options.sheet is not None and name == "mtcnn":
            pairs = [np.vstack((face, crop)) for face, crop, _ in held[:30]]
            rows = [np.hstack(pairs[start : start + 10]) for start in range(0, 30, 10)]
            cv2.imwrite(
                str(options.sheet), cv2.resize(np.vstack(rows), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
            )


if __name__ == "__main__":
    main()
