"""Parse command lines, format text and show progress: shared by every command."""
