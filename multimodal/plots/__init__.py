"""Pictures of an analysis as PNG and SVG."""
