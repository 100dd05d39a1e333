"""``python -m multimodal.infer``."""

from __future__ import annotations

import sys

from multimodal.infer.command import main

if __name__ == "__main__":
    sys.exit(main())
