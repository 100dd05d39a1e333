"""Training-time augmentation of faces, audio and text."""
