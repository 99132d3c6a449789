"""Training: tasks, warm-ups, safeguards, checkpoints, the run's records and pictures, and the command line."""
