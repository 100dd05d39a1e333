"""Corpora for training and evaluation, one reader each."""
