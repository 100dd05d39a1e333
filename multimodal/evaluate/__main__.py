"""``python -m multimodal.evaluate``."""

from __future__ import annotations

import sys

from multimodal.evaluate.command import main

if __name__ == "__main__":
    sys.exit(main())
