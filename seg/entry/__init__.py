"""Entry points: the names that `import seg` offers."""
