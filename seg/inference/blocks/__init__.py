"""Read, compute and write the blocks of a scene."""
