"""Sums with output channels in the lanes."""
