"""Windows, running maxima and sums, and what is global."""
