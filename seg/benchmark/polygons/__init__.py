"""Time and memory for converting large maps to parcels."""
