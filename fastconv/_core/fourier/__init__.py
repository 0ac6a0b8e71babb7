"""Large filters, by Fourier transforms."""
