"""Change between two maps, and its support by their probabilities."""
