"""The raster engine against the machine's limits and other libraries."""
