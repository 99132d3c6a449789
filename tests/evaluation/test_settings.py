import pytest

from seg.errors import ConfigError
from seg.evaluation.settings import EvaluationSettings


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"tolerances": []}, r"tolerances is \[\]"),
        ({"tolerances": [10.0, -1.0]}, "tolerances is"),
        ({"object_iou": 0.4}, "object-iou is 0.4; wanted 0.5 or more"),
        ({"object_iou": 1.0}, "object-iou is 1.0"),
        ({"min_parcel": 0}, "min-parcel is 0; wanted 1 pixel or more"),
        ({"bootstrap": -1}, "bootstrap is -1"),
        ({"bootstrap": 10**20}, f"bootstrap is {10**20}; wanted 0 to 100,000"),
        ({"worst": -1}, "worst is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"chip_size": 8}, "chip-size is 8; wanted 16"),
        ({"window_size": 0}, "window-size is 0"),
        ({"block_size": 500}, "block-size is 500; wanted auto, or a multiple or a whole fraction of --chip-size, 256"),
        ({"block_size": 0}, "block-size is 0"),
    ],
)
def test_value_out_of_range_is_refused(options: dict[str, object], wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted):
        EvaluationSettings(**options)


@pytest.mark.parametrize(
    ("sizes", "block"), [([(10_000, 10_000)], 512), ([(145, 145)], 64), ([(1024, 1024)], 128), ([(512, 512)] * 20, 512)]
)
def test_blocks_shrink_if_there_are_too_few(sizes: list[tuple[int, int]], block: int) -> None:
    assert EvaluationSettings().fitting_block_size(sizes) == block


@pytest.mark.parametrize(
    ("sizes", "chip"), [([(10_000, 10_000)], 256), ([(145, 145)], 64), ([(400, 450)], 128), ([(200, 200)] * 12, 256)]
)
def test_listed_windows_shrink_if_there_are_too_few(sizes: list[tuple[int, int]], chip: int) -> None:
    assert EvaluationSettings().fitting_chip_size(sizes) == chip
    assert EvaluationSettings(chip_size=256).fitting_chip_size(sizes) == 256


def test_given_block_size_is_kept() -> None:
    assert EvaluationSettings(block_size=1024).fitting_block_size([(100, 100)]) == 1024
