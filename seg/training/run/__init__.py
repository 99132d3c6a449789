"""A run of training as its folder and Weights & Biases keep it: configuration, record, metrics."""
