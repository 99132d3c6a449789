"""Datasets of whole scenes, of random chips for training, and of chips in a grid for validation."""
