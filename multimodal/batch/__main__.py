"""``python -m multimodal.batch``."""

from __future__ import annotations

import sys

from multimodal.batch.command import main

if __name__ == "__main__":
    sys.exit(main())
