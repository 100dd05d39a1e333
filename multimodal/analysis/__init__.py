"""The result of an analysis: tables, the saved file, highlights, confidence intervals."""
