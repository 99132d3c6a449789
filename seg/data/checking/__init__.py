"""Checks of a dataset that report every problem; training would stop at the first problem."""
