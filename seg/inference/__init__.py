"""Run a trained model over rasters of any size, without Lightning's Trainer."""
