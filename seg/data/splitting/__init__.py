"""Honest splits of a dataset into folds: by whole scenes, or by blocks of their ground with a guard between folds."""
