"""Faces in pictures: detection, tracking, crops."""
