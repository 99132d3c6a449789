import pytest

from seg.errors import ConfigError
from seg.parcels.settings import PolygonSettings, square_metres


@pytest.mark.parametrize(
    ("size", "wanted"),
    [("0", 0), ("500m2", 500), ("500 m²", 500), ("0.5ha", 5000), (".5HA", 5000), ("1.5mu", 1000), ("15亩", 10_000)],
)
def test_sizes_have_a_number_and_a_unit(size: str, wanted: float) -> None:
    assert square_metres(size, "min-area") == pytest.approx(wanted)


@pytest.mark.parametrize("size", ["5", "ha", "-1ha", "1 acre", "1ha2", "", "nan", "1e3m2"])
def test_other_sizes_are_refused(size: str) -> None:
    with pytest.raises(ConfigError, match=r"--min-hole is '.*'; wanted a number and a unit, such as 500m2"):
        PolygonSettings(min_hole=size)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"simplify": -1.0}, "--simplify is -1.0; wanted 0 metres or more"),
        ({"simplify": float("nan")}, "--simplify is nan"),
        ({"uncertain": (0.7, 0.3)}, "two probabilities in order"),
        ({"growth": -1}, "--growth is -1"),
        ({"block_size": 0}, "--block-size is 0"),
        ({"threads": 0}, "--threads is 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PolygonSettings(**settings)
