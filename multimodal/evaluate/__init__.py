"""``evaluate``: metrics of each part on a corpus."""
