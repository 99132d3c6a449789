"""Read polygons and burn them onto a grid."""
