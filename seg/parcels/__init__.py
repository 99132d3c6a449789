"""Convert class maps to parcels; outlines are traced block by block, without seams."""
