"""The JSON files that the page shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg.errors import ConfigError
from seg.labels import CROPLAND, LABEL_NAMES

AREA_KEYS = ("classes", "confidence", "confusion", "map", "overall_accuracy", "pixel_count", "samples", "strata")
WANTED = "wanted the area.json that `evaluate.py area` writes"


@dataclass(frozen=True)
class Documents:
    """What every number of the page comes from.

    Attributes:
        accuracy: What `accuracy.json` holds.
        area: What `area.json` holds; None without an area estimate.
    """

    accuracy: Mapping[str, Any]
    area: Mapping[str, Any] | None = None


def read_accuracy(path: Path) -> Mapping[str, Any]:
    """What an `accuracy.json` that was just written holds."""
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def read_area_estimate(path: Path | None) -> Mapping[str, Any] | None:
    """What an `area.json` holds; None if none is named.

    Raises:
        ConfigError: There is no such file, or it holds something else.
    """
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {WANTED}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is no JSON ({error}); {WANTED}") from error
    keys = found if isinstance(found, dict) else {}
    missing = [key for key in AREA_KEYS if key not in keys]
    if missing:
        raise ConfigError(f"{path}: has no {', '.join(missing)}; {WANTED}")
    names = [row["name"] for row in keys["classes"]]
    if LABEL_NAMES[CROPLAND] not in names:
        raise ConfigError(f"{path}: estimates {', '.join(names)}; wanted an estimate of cropland, from such a map")
    return dict(keys)
