"""Losses over the pixels with a label, in float32 whatever the precision of training."""
