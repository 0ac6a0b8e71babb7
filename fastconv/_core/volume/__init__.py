"""Convolutions over depth, rows and columns, by the plans and drivers of two dimensions: on views, nothing is copied.

    geometry      one convolution of volumes, described once; the passes of its data gradient
    planes        which planes meet which taps along the depth
    flat          where axes join so that it is one convolution of images
    forward       the sum over the taps along the depth
    gathered      these taps as channels, of a block of planes in the scratch
    spread        these taps as filters, where there are few
    gradient      of weights and bias, by those of planes
    folding       gradients on what the padding repeats, and of filters that are not finite
    plan          the choice, and both gradients
"""
