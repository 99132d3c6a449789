"""Run a trained model over rasters of any size. No Trainer."""

import os

# Blocks of a scene are read once, in order: GDAL need not keep more than touches one row of blocks of a usual COG.
# Megabytes; less than `seg.raster` sets for chips at random places, and as there the environment decides.
os.environ.setdefault("GDAL_CACHEMAX", "64")
