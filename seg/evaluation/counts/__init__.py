"""Counts for computing scores: confusion, boundaries, parcels, strata."""
