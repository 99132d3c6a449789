"""Write the report's page as one self-contained HTML file, and read the JSON documents with its numbers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg.errors import ConfigError
from seg.evaluation.pairs import Pair
from seg.evaluation.report.page.chips import worst_chips
from seg.evaluation.report.page.content import PageContent
from seg.evaluation.report.page.render import render_page
from seg.evaluation.report.page.scenes import lowest_scenes, map_scenes
from seg.evaluation.settings import EvaluationSettings, Language
from seg.files import complete_or_absent
from seg.labels import CROPLAND, LABEL_NAMES

AREA_KEYS = ("classes", "confidence", "confusion", "map", "overall_accuracy", "pixel_count", "samples", "strata")
WANTED = "wanted the area.json that `evaluate.py area` writes"


@dataclass(frozen=True)
class Documents:
    """JSON documents with all numbers of the page.

    Attributes:
        accuracy: Content of `accuracy.json`.
        area: Content of `area.json`; None without an area estimate.
    """

    accuracy: Mapping[str, Any]
    area: Mapping[str, Any] | None = None


def write_page(
    documents: Documents, pairs: Sequence[Pair], settings: EvaluationSettings, language: Language, path: Path
) -> None:
    """Write the report's HTML file.

    Args:
        documents: Source of every number on the page.
        pairs: Compared files, for the map and the chips.
        settings: Settings of the comparison.
        language: Language of the page.
        path: The file, written atomically.

    Raises:
        RasterError: A raster cannot be read.
    """
    scenes = map_scenes(lowest_scenes(documents.accuracy, pairs), settings)
    limits = {scene.name: scene.limits for scene in scenes}
    chips = worst_chips(documents.accuracy["worst"], pairs, settings, limits)
    html = render_page(PageContent(documents.accuracy, documents.area, scenes, chips), language)
    with complete_or_absent(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def read_area_estimate(path: Path | None) -> Mapping[str, Any] | None:
    """Content of an `area.json`; None if no file is given.

    Raises:
        ConfigError: The file does not exist, or is not an estimate of cropland area.
    """
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {WANTED}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON ({error}); {WANTED}") from error
    content = found if isinstance(found, dict) else {}
    missing = [key for key in AREA_KEYS if key not in content]
    if missing:
        raise ConfigError(f"{path}: has no {', '.join(missing)}; {WANTED}")
    names = [row["name"] for row in content["classes"]]
    if LABEL_NAMES[CROPLAND] not in names:
        raise ConfigError(f"{path}: estimates {', '.join(names)}; wanted the estimate of a cropland map")
    return dict(content)
