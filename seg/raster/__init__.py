"""Rasters as they lie on disk: grids, windows, chips, statistics, block store, COGs. No torch."""

import os

# GDAL caches blocks in up to 5 % of the machine's memory, so memory would grow with the raster until that is full.
# Megabytes; read when the first raster is opened, and whoever set it in the environment keeps what they set.
os.environ.setdefault("GDAL_CACHEMAX", "256")
