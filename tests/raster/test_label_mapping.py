import numpy as np
import pytest

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping

UNKNOWN = -1


def meaning(labels: LabelMapping, values: list[float], dtype: str = "int16") -> list[int]:
    """The class of each value, or UNKNOWN."""
    classes, unknown = labels.classes(np.array(values, dtype=dtype))
    assert classes.dtype == np.uint8
    return np.where(unknown, UNKNOWN, classes.astype(int)).tolist()


def test_by_default_only_0_1_and_255_are_known() -> None:
    assert meaning(PLAIN_LABELS, [0, 1, 255, 2, -1, 256]) == [OTHER, CROPLAND, IGNORE, UNKNOWN, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int64", "float32", "float64"])
def test_several_values_may_be_cropland_and_no_label(dtype: str) -> None:
    labels = LabelMapping(cropland=(1, 2), ignore=(0,), other=(3,))
    assert meaning(labels, [0, 1, 2, 3, 4], dtype) == [IGNORE, CROPLAND, CROPLAND, OTHER, UNKNOWN]


def test_a_value_that_a_type_cannot_hold_matches_nothing() -> None:
    labels = LabelMapping(cropland=(257,), ignore=(-1,))
    assert meaning(labels, [0, 1, 255], "uint8") == [OTHER, UNKNOWN, IGNORE]


def test_zero_is_other_unless_it_is_named_as_something_else() -> None:
    assert meaning(LabelMapping(cropland=(7,)), [0]) == [OTHER]
    assert meaning(LabelMapping(cropland=(0,)), [0]) == [CROPLAND]
    assert meaning(LabelMapping(ignore=(0, 255)), [0]) == [IGNORE]
    assert meaning(LabelMapping(other=(3,)), [0, 3]) == [UNKNOWN, OTHER]


def test_255_is_no_label_unless_it_is_named_as_something_else() -> None:
    assert meaning(LabelMapping(ignore=(0,), other="rest"), [255]) == [IGNORE]
    assert meaning(LabelMapping(cropland=(255,), ignore=()), [255]) == [CROPLAND]
    assert meaning(LabelMapping(ignore=(), other=(0, 255)), [255]) == [OTHER]


def test_rest_makes_unlisted_values_other() -> None:
    labels = LabelMapping(cropland=(1, 2), ignore=(0,), other="rest")
    assert meaning(labels, [0, 1, 2, 3, 200, -5]) == [IGNORE, CROPLAND, CROPLAND, OTHER, OTHER, OTHER]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"cropland": ()}, r"labels\.cropland is empty"),
        ({"cropland": (1, 255)}, r"labels names 255 twice \(cropland \[1, 255\], ignore \[255\]"),
        ({"other": (1,)}, r"labels names 1 twice"),
        ({"cropland": (1, 1)}, r"labels names 1 twice"),
    ],
)
def test_values_with_two_meanings_and_a_mapping_without_cropland_are_refused(
    fields: dict[str, tuple[int, ...]], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        LabelMapping(**fields)
