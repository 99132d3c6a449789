import numpy as np

from seg.evaluation.report.colours import (
    COMMISSION,
    NOTHING,
    OMISSION,
    UNMAPPED,
    css,
    palettes,
    pixel_codes,
    probability_ramp,
)
from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_COLOURS,
    OTHER,
)


def colour(layer: str, mapped: int, label: int) -> tuple[int, ...]:
    [code] = pixel_codes(np.array([mapped], np.uint8), np.array([label], np.uint8))
    return palettes()[layer][code]


def test_layers_are_coloured_by_mapped_and_true_class() -> None:
    for mapped in (OTHER, CROPLAND, IGNORE):
        for label in (OTHER, CROPLAND, IGNORE):
            assert colour("prediction", mapped, label) == LABEL_COLOURS[mapped]
            assert colour("reference", mapped, label) == LABEL_COLOURS[label]


def test_error_layer_shows_only_wrong_pixels() -> None:
    assert colour("errors", CROPLAND, OTHER) == COMMISSION
    assert colour("errors", OTHER, CROPLAND) == OMISSION
    assert colour("errors", IGNORE, OTHER) == UNMAPPED
    assert colour("errors", OTHER, OTHER) == colour("errors", CROPLAND, IGNORE) == NOTHING


def test_ramp_has_a_colour_for_every_percent_and_becomes_lighter() -> None:
    lightness = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue, _ in probability_ramp()]
    assert len(lightness) == 101
    assert lightness[::10] == sorted(lightness[::10])


def test_colours_are_written_in_css_notation() -> None:
    assert css((1, 2, 3, 255)) == "rgb(1 2 3 / 1)"
    assert css(NOTHING) == "rgb(0 0 0 / 0)"
