"""Turn class maps into parcels, traced block by block on the pixel lattice, without seams."""
