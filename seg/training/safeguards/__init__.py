"""Callbacks and checks that keep a training from ending in silence."""
