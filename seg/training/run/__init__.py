"""Files of a training run in its folder and on Weights & Biases: configuration, record, metrics."""
