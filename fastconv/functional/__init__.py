"""Stateless operations: arrays in, arrays out. The only floor that checks arguments (all in ``checks``)."""
