"""Sizes of areas as users write them: 500m2, 0.5ha, 1mu or 1亩."""

import math
import re

from seg.errors import ConfigError

_HECTARE_M2 = 10_000.0
UNITS_M2 = {
    "m2": 1.0,
    "m²": 1.0,
    "ha": _HECTARE_M2,
    "mu": _HECTARE_M2 / 15,
    "亩": _HECTARE_M2 / 15,
}
"""Square metres of each unit. Fifteen mu (亩), the land unit of China, are a hectare."""

_SIZE = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(\D\S*)?\s*")


def square_metres(size: str, option: str) -> float:
    """A size in square metres.

    Args:
        size: A number and a unit, such as "0.5ha"; 0 needs no unit.
        option: Whose value it is, for the message.

    Raises:
        ConfigError: It is no number, or has no unit that is known.
    """
    found = _SIZE.fullmatch(size)
    number, unit = (float(found[1]), (found[2] or "").lower()) if found else (math.nan, "")
    if number == 0 and not unit:
        return 0.0
    if unit not in UNITS_M2:
        raise ConfigError(f"--{option} is '{size}'; wanted a number and a unit, such as 500m2, 0.5ha, 1mu or 1亩")
    return number * UNITS_M2[unit]
