"""Teachers of a student: their predictions for unlabelled samples, and the loss against these predictions."""
