"""Combines the modalities: three clocks on one grid, the dual recurrent head, and late fusion as its baseline."""

if not __name__.startswith("multimodal."):
    raise ImportError("import it as multimodal.fusion (the bare name may be somebody's own folder)")
