"""What fastconv makes of other projects: each of them before and after, in one process and in turn.

``python -m benchmarks.adapters.<host>`` compares the results and prints both times.
"""
