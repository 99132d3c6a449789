"""Block sizes, halos and memory of a prediction."""
