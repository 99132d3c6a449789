"""Entry points: the names that `import seg` offers, and the commands of `cropland-seg` and `scripts/`."""
