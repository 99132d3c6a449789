"""Checks of a dataset that report every problem, where training stops at the first."""
