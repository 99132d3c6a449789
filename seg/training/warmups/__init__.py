"""Callbacks that make the start of a training gentler, one a file; each can be combined with all others."""
