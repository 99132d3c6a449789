"""Model packages: folders with all files for inference, without executable content."""
