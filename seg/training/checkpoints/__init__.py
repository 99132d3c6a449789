"""Writing of checkpoints in a training, and resuming from them. `seg.package.checkpoint` reads their weights."""
