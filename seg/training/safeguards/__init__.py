"""Callbacks that stop a training at a NaN loss or a signal, with a message."""
