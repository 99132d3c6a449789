"""Reports of a comparison: terminal text, JSON, picture and page."""
