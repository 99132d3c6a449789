"""Checkpoints of a training: written whole or not at all, and the last whole one found."""
