"""One signal in, a sequence of states out: the face network; voice and words join it here."""

if not __name__.startswith("multimodal."):
    raise ImportError("import it as multimodal.encoders (the bare name may be somebody's own folder)")
