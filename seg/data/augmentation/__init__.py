"""Geometric and radiometric augmentation, and mixing of chips."""
