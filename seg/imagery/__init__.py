"""Products of providers as scenes: bands, scales and offsets, masks and composites. No torch."""
