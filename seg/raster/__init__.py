"""Rasters on disk: grids, windows, chips, statistics, block store, COGs. No torch."""
