"""Activations, softmax, bias gradients and the optimisers' updates."""
