"""Losses over labelled pixels, in float32 at any training precision."""
