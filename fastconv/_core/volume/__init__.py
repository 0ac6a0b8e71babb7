"""Convolutions over depth, rows and columns, by the plans and drivers of two dimensions: on views, nothing is copied.

    geometry      one convolution of volumes, described once; the passes of its data gradient
    planes        which planes meet which taps along the depth
    flat          where axes join so that it is one convolution of images
    forward       the sum over the taps along the depth
    folding       gradients on what the padding repeats, and of filters that are not finite
    plan          the choice, and both gradients
"""
