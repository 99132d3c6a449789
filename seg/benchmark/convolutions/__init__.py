"""Kinds of convolutions at equal shapes: cost, time and the machine's limits."""
