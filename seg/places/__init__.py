"""New places: their statistics, how unlike the training images they are, and the squares to label next."""
