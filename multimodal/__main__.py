"""Runs the console script as ``python -m multimodal``."""

from __future__ import annotations

import sys

from multimodal.cli import main

if __name__ == "__main__":
    sys.exit(main())
