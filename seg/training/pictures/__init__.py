"""Pictures that a training draws and writes to its folder."""
