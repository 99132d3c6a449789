"""Run a trained model over rasters of any size. No Trainer."""

import os

CACHE_MB = "64"
"""Megabytes of decoded tiles that GDAL keeps."""

# Blocks of a scene are read once, in order: GDAL need not keep more than touches one row of blocks of a usual COG.
# Less than `seg.raster` sets for chips at random places, and as there the environment decides.
os.environ.setdefault("GDAL_CACHEMAX", CACHE_MB)
