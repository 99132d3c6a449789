"""Calibration of probabilities from pixel counts by label and logit."""
