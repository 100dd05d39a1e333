"""``python -m multimodal.train``."""

from __future__ import annotations

import sys

from multimodal.train.command import main

if __name__ == "__main__":
    sys.exit(main())
