"""What comes in: media, faces, corpora; and the emotions, in one vocabulary."""

if not __name__.startswith("multimodal."):
    raise ImportError("import it as multimodal.data (the bare name may be somebody's own folder)")
