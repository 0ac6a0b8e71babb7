"""One input channel a group."""
