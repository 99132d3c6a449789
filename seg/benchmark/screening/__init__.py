"""Benchmark of screening: speed on a mosaic of held-out tiles, cropland lost, and risk over random splits."""
