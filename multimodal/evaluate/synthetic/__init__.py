"""Evaluation of the fusion head on synthetic utterances."""
