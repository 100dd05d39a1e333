"""Lets ``python -m multimodal infer …`` do what the console script does."""

from __future__ import annotations

import sys

from multimodal.cli import main

if __name__ == "__main__":
    sys.exit(main())
