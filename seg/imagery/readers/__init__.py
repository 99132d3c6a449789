"""Readers of products: Sentinel-2, Landsat, STAC items and loose files, in folders and archives."""
