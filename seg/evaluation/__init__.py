"""Comparison of maps with references: scores, report, areas, change. Windowed, and without torch, to start quickly."""
