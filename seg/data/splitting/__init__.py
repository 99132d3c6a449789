"""Splits of a dataset into folds that share no ground, by whole scenes or by blocks with a guard between folds."""
