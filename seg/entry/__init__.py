"""Entry points: the names of `import seg`, and the commands of `cropland-seg` and `scripts/`."""
