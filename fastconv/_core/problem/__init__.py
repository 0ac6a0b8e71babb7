"""One convolution, described once: its sizes, the padded window, blocks of pixels,
and its halves where scratch is short."""
