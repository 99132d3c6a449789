"""Colours of the map layers, shared by the picture, the page's map and its chips.

The code of a pixel combines its mapped class and its reference class, so that one raster holds three layers: map,
reference and errors. Colours can be told apart with any colour vision: errors are vermilion, blue and purple of Okabe
and Ito's palette (https://jfly.uni-koeln.de/color/), and probabilities have the ramp "cividis"
(https://doi.org/10.1371/journal.pone.0199239).
"""

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from seg.labels import CROPLAND, IGNORE, LABEL_COLOURS, OTHER

Colour = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0 to 255."""

STATES = (OTHER, CROPLAND, IGNORE)
"""States of a pixel in a map or a reference; a code is a two-digit number of base 3 with these digits."""

COMMISSION: Colour = (213, 94, 0, 255)
OMISSION: Colour = (0, 114, 178, 255)
UNMAPPED: Colour = (204, 121, 167, 255)
AGREED: Colour = (150, 160, 155, 110)
"""Colour of correctly mapped cropland. The colour is faint, so that errors stand out."""

NOTHING: Colour = (0, 0, 0, 0)

NO_PROBABILITY = 255
"""Value of pixels without a probability."""


def pixel_codes(mapped: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Combine classes to codes: three times the state in the map plus the state in the reference.

    Args:
        mapped: OTHER, CROPLAND or IGNORE, of any shape.
        labels: Classes of the reference, same shape.
    """
    states = np.full(256, STATES.index(IGNORE), np.uint8)
    states[[OTHER, CROPLAND]] = 0, 1
    return np.asarray(len(STATES) * states[mapped] + states[labels], np.uint8)


def palettes() -> dict[str, list[Colour]]:
    """Colours of all codes, by layer."""
    pairs = [(mapped, label) for mapped in STATES for label in STATES]
    return {
        "prediction": [LABEL_COLOURS[mapped] for mapped, _ in pairs],
        "reference": [LABEL_COLOURS[label] for _, label in pairs],
        "errors": [_error_colour(mapped, label) for mapped, label in pairs],
    }


def probability_ramp() -> list[Colour]:
    """Colours of the probabilities from 0 to 100 percent."""
    colours = colormaps["cividis"](np.linspace(0, 1, 101), bytes=True)
    return [(int(red), int(green), int(blue), int(alpha)) for red, green, blue, alpha in colours]


def css(colour: Colour) -> str:
    """Colour in CSS notation."""
    red, green, blue, alpha = colour
    return f"rgb({red} {green} {blue} / {alpha / 255:.3g})"


def _error_colour(mapped: int, label: int) -> Colour:
    if label == IGNORE:
        return NOTHING
    if mapped == IGNORE:
        return UNMAPPED
    if mapped == label:
        return AGREED if label == CROPLAND else NOTHING
    return COMMISSION if mapped == CROPLAND else OMISSION
