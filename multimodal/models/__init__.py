"""Which weights are used, and how they are loaded and saved."""
