"""Media files in and out: facts, frames, audio, cutting and writing video."""
