"""Area estimation: draw a probability sample of a map, and estimate areas, accuracies and their standard errors."""
