"""Perceived emotion in interviews from face, voice and words, on your own machine.

Example:
    >>> import multimodal
    >>> model = multimodal.load_model()                    # doctest: +SKIP
    >>> analysis = model.analyze("interview.mp4")          # doctest: +SKIP
    >>> analysis.utterances                                # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multimodal.infer.model import Model, load_model

__version__ = "0.1.0"
__all__ = ["Model", "__version__", "load_model"]

# In a checkout, encoders/, fusion/ and data/ stand beside this package; once installed they are inside it.
_root = Path(__file__).resolve().parent.parent
if not (_root / "multimodal" / "encoders").is_dir() and (_root / "encoders" / "__init__.py").is_file():
    __path__.append(str(_root))


def __getattr__(name: str) -> Any:
    """Loads the model module, and with it torch, only when it is asked for."""
    if name in ("Model", "load_model"):
        from multimodal.infer import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
