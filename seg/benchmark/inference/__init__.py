"""Speed of the raster engine compared with the machine's limits and other libraries."""
