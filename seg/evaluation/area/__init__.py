"""Area with its error: draw a probability sample of a map, and estimate areas and accuracies from its references."""
