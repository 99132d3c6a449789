"""Comparison of kinds of convolution at equal shapes: cost, time and the machine's limits."""
