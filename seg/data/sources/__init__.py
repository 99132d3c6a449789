"""Import of public datasets into the layout of this project, with one file for each dataset."""
