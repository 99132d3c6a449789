"""Deliver maps and parcels in the forms that land bureaus and other software read."""
