"""Time and memory of parcels from large maps."""
