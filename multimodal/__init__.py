"""Emotions that people show in interview and usability-test videos, from face, voice and words.

Example:
    >>> import multimodal
    >>> model = multimodal.load_model()                    # doctest: +SKIP
    >>> analysis = model.analyze("interview.mp4")          # doctest: +SKIP
    >>> analysis.utterances                                # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multimodal.analysis.loading import read_analysis
    from multimodal.analysis.result import Analysis
    from multimodal.errors import MultimodalError
    from multimodal.infer.model import Model, load_model
    from multimodal.infer.options import AnalysisOptions
    from multimodal.models.selection import list_models
    from multimodal.report.page import write_report

__version__ = "0.1.0"
__all__ = [
    "Analysis",
    "AnalysisOptions",
    "Model",
    "MultimodalError",
    "__version__",
    "list_models",
    "load_model",
    "read_analysis",
    "write_report",
]

_MODULES = {
    "Analysis": "multimodal.analysis.result",
    "AnalysisOptions": "multimodal.infer.options",
    "Model": "multimodal.infer.model",
    "MultimodalError": "multimodal.errors",
    "list_models": "multimodal.models.selection",
    "load_model": "multimodal.infer.model",
    "read_analysis": "multimodal.analysis.loading",
    "write_report": "multimodal.report.page",
}
"""Public name to the module that defines it; each is imported when its name is first used."""

# In a checkout, encoders/, fusion/ and data/ are next to this package; once installed they are inside it.
_root = Path(__file__).resolve().parent.parent
if not (_root / "multimodal" / "encoders").is_dir() and (_root / "encoders" / "__init__.py").is_file():
    __path__.append(str(_root))


def __getattr__(name: str) -> Any:
    """Imports the module of a public name, and with it torch, only when the name is used."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Lists all public names, including those that are not loaded yet."""
    return sorted({*globals(), *__all__})
