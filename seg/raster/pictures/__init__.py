"""Pictures of rasters: stretched composites and Matplotlib figures of panels."""
