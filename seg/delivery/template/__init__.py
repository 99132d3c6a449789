"""Templates of deliveries: their schema, their expressions, and reading them from YAML."""
