"""Distances and areas on the Earth's ellipsoid."""
