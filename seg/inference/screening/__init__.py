"""Screening: cells of a scene that hold no cropland at a stated risk are not computed."""
