"""How far probabilities can be believed, and what makes them better, all from counted logits."""
