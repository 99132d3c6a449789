"""What a run shows of itself: pictures, its record, Weights & Biases."""
