"""LightningModules: steps, loss, metrics and optimiser."""
