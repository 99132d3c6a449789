"""The report as one HTML file that opens offline: scores, curves, a map to move in, and what repeats them."""
