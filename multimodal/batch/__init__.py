"""``batch``: many inputs, on this machine or on a Ray cluster."""
