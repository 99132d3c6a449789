"""Networks that map an image to one logit per pixel; no datasets, no rasters."""
