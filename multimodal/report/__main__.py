"""``python -m multimodal.report``."""

from __future__ import annotations

import sys

from multimodal.report.command import main

if __name__ == "__main__":
    sys.exit(main())
