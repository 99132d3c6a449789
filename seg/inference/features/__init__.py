"""Deepest features of a scene: as a layer, and as a distance from the training images."""
