"""Datasets of whole scenes and chips."""
