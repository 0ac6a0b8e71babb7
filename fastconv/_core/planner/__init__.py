"""The choice of a driver."""
