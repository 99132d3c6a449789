"""Comparison of the networks of the family: cost, speed and receptive field."""
