import pytest

from seg.data.settings import SplitRule
from seg.errors import ConfigError


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"folds": 1}, "--folds is 1; wanted 2 or more"),
        ({"seed": -1}, "--seed is -1"),
        ({"guard_m": -1.0}, "--guard-m is -1"),
        ({"guard_m": float("nan")}, "--guard-m is nan"),
        ({"block_size_m": 0.0}, "--block-size-m is 0; wanted more than 0"),
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, float], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        SplitRule(**wrong)
