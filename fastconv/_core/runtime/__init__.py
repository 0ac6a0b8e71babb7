"""What runs under everything: the instruction set's kernels, threads, memory, arrays, the memo of calls."""
