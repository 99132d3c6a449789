"""Composites: one scene from the scenes of several dates or of overlapping tiles."""
