"""The data gradient as convolutions of grad_output: by phases of the stride, by patches,
by Winograd's algorithm transposed."""
