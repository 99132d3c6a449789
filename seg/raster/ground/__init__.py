"""Distances and areas on the ellipsoid."""
