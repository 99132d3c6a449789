"""Description of a network: layers, totals and file sizes."""
