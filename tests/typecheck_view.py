"""Runs mypy over a copy of the four folders laid out under their installed names: ``python tests/typecheck_view.py``.

The build maps encoders/, fusion/ and data/ into the package ``multimodal``. mypy knows nothing of that mapping and
would neither find ``multimodal.data`` nor notice a wrong import of it. Further arguments go to mypy.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAPPED = ("encoders", "fusion", "data")


def lay_out(view: Path) -> None:
    """Copies the modules of the checkout into ``view/multimodal`` as an installation would have them."""
    sources = [("multimodal", view / "multimodal"), *((name, view / "multimodal" / name) for name in MAPPED)]
    for name, target in sources:
        for source in (ROOT / name).rglob("*"):
            if source.suffix in (".py", ".pyi") or source.name == "py.typed":
                place = target / source.relative_to(ROOT / name)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, place)


def in_checkout(report: str) -> str:
    """Turns paths of the view in mypy's report back into those of the checkout."""
    return re.sub(rf"\bmultimodal/({'|'.join(MAPPED)})/", r"\1/", report)


def main(arguments: list[str]) -> int:
    """Prints what mypy says, and returns its exit code."""
    # The cache stays in the checkout, so that a second run is quick although the view is made anew.
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache" / "view")]
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder))
        command = [sys.executable, "-m", "mypy", *options, *arguments, "multimodal"]
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    print(in_checkout(finished.stdout + finished.stderr), end="")
    return finished.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
