"""Loaders and batches of samples."""
