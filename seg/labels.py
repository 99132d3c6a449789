"""Label values and their display colours, shared by masks, maps and metrics."""

OTHER = 0
CROPLAND = 1
IGNORE = 255
"""In a mask: no label. In a map: nodata."""

LABEL_NAMES: dict[int, str] = {OTHER: "other", CROPLAND: "cropland", IGNORE: "ignore"}

LABEL_COLOURS: dict[int, tuple[int, int, int, int]] = {
    OTHER: (216, 210, 196, 255),
    CROPLAND: (46, 125, 50, 255),
    IGNORE: (0, 0, 0, 0),
}
"""RGBA, 0 to 255. Green and sand differ in lightness, so they stay distinct under red-green colour blindness."""
