"""Data loaders: order, batches, shards and worker processes."""
