"""Cropland maps from satellite and aerial scenes: train, predict, evaluate."""

__version__ = "0.1.0"
