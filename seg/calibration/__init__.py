"""Calibration of probabilities, from pixels counted by label and logit."""
