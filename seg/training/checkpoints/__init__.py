"""Checkpoints that a training writes and resumes from; `seg.package.checkpoint` reads their weights for export."""
