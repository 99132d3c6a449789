"""Splits of a dataset into spatially separate folds, by whole scenes or by blocks with guards between folds."""
