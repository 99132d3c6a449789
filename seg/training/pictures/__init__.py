"""Pictures that a training leaves in its folder."""
