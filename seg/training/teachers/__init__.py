"""Teachers of a student: what they say of an unlabelled sample, and how a loss is made of it."""
