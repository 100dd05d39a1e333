"""Normalization and layers of the audio networks."""
