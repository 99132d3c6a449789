"""Read a dataset as training would, and report every problem instead of the first."""
