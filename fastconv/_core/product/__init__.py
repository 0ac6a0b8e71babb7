"""The implicit matrix product, pixels in the lanes: forward, weight gradient; and products with few rows."""
