"""``train``: the training loop and its four stages."""
