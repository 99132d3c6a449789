"""Public datasets brought into this project's layout, one file a dataset."""
