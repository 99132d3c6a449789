"""Report as one HTML file that works offline: scores, curves, an interactive map, and the files and settings used."""
