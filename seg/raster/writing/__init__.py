"""Write GeoTIFFs, COGs, VRTs and the block store."""
