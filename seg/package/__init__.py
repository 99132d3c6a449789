"""Model packages: folders with all files that inference needs; they contain no executable code."""
