"""Catalogue, manifest, bands and statistics of a dataset on disk."""
