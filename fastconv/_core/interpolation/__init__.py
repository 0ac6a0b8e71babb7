"""Images at other sizes: nearest pixels, bilinear interpolation."""
