"""Networks: an image in, one logit a pixel out. No data, no rasters."""
