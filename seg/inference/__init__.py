"""Run a trained model over rasters of any size. No Trainer."""
