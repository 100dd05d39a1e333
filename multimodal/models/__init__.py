"""Selects, loads and saves model weights."""
