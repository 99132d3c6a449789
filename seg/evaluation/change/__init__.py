"""What changed between two maps, and how far their probabilities support it."""
