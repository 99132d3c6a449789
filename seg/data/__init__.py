"""Datasets: scene catalogue, checks, spatial split, transforms, batching, and public sources."""
