"""Command lines, text formatting and progress bars, shared by all commands."""
