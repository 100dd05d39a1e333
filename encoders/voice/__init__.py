"""Features, normalization and layers of the audio networks."""
