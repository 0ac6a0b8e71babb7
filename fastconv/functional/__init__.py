"""Stateless operations: arrays in, arrays out. The only floor that checks arguments (all in ``checks``)."""

from fastconv.functional.conv import conv2d, conv2d_backward, conv_output_size

__all__ = ["conv2d", "conv2d_backward", "conv_output_size"]
