"""Splits of a dataset into spatially separate folds, by whole scenes or by blocks; guards separate the folds."""
