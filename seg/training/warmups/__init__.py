"""Callbacks that warm up a training, one per file; all of them can be combined."""
