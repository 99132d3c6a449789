"""Counts that scores are computed from: confusion, boundaries, parcels, strata."""
