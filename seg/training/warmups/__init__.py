"""Warm-up callbacks for the start of a training, one per file; all can be combined."""
