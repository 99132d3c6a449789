"""Callbacks that stop a training early and say why: at a NaN loss, at a signal."""
