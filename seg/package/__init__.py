"""Model packages: folders with all that inference needs, and nothing that executes."""
