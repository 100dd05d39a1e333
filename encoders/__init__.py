"""Encoders of face, audio and text: one modality in, probabilities, an embedding and a sequence of states out."""

if not __name__.startswith("multimodal."):
    raise ImportError("import it as multimodal.encoders (the bare name may be somebody's own folder)")
