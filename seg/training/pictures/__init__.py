"""Pictures of a run: learning curves, score curves and prediction panels."""
