"""Sums with images in the lanes."""
