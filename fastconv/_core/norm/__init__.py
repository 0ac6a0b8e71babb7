"""Normalisation: of batches and groups of channels, and of rows."""
