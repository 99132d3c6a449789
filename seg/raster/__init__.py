"""Rasters as they lie on disk: grids, windows, chips, statistics, block store, COGs. No torch."""

import os

CACHE_MB = "256"
"""Megabytes of decoded tiles that GDAL keeps."""

# GDAL caches blocks in up to 5 % of the machine's memory, so memory would grow with the raster until that is full.
# Read when the first raster is opened, and whoever set it in the environment keeps what they set.
os.environ.setdefault("GDAL_CACHEMAX", CACHE_MB)

# Rasters on servers. GDAL would give up at the first error, and wait for ever for a server that says nothing more.
os.environ.setdefault("GDAL_HTTP_MAX_RETRY", "3")
os.environ.setdefault("GDAL_HTTP_RETRY_DELAY", "1")
os.environ.setdefault("GDAL_HTTP_CONNECTTIMEOUT", "20")
os.environ.setdefault("GDAL_HTTP_LOW_SPEED_LIMIT", "1000")
os.environ.setdefault("GDAL_HTTP_LOW_SPEED_TIME", "60")
