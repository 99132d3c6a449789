"""Datasets on disk: scenes, manifest, bands, checks, statistics and fingerprint."""
