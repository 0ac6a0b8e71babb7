"""Floor 1: the compiled core. It checks nothing: arguments are checked in `fastconv.functional`."""
