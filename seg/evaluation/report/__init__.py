"""Reports of an evaluation: terminal, JSON, picture and page."""
