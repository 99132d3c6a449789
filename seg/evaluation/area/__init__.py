"""Area estimation: draw a probability sample of a map, and estimate areas and accuracies with their errors from it."""
