"""Read polygons, place them on a grid and burn them."""
