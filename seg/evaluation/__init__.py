"""Comparison of maps with references: scores, report, areas, change. Reads window by window; does not import torch."""
