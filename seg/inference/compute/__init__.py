"""Backends, test-time augmentation and ensembles: from pixels to a probability."""
