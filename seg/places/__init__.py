"""Adapt a model to a new place, describe its training images, and suggest squares to label."""
