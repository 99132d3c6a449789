"""Change between two maps, and the support of changes by probabilities."""
