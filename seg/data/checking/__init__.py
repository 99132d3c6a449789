"""Checks of a dataset that report every problem; training stops at the first one."""
