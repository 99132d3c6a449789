"""Write the report's page as one self-contained HTML file, and read the JSON documents with the page's numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from seg.errors import ConfigError
from seg.evaluation.pairs import Pair
from seg.evaluation.plain_values import from_plain
from seg.evaluation.report.page.chips import worst_chips
from seg.evaluation.report.page.content import PageContent
from seg.evaluation.report.page.render import render_page
from seg.evaluation.report.page.scenes import lowest_scenes, map_scenes
from seg.evaluation.settings import EvaluationSettings, Language
from seg.files import complete_or_absent, read_json
from seg.labels import CROPLAND, LABEL_NAMES

WANTED = "wanted the area.json that `evaluate.py area` writes"


@dataclass(frozen=True)
class Figures:
    """An estimate with its standard error and the ends of its interval; undefined numbers are None."""

    value: float | None
    standard_error: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class AreaClass:
    """Estimates of a class: its area in hectares and its accuracies, 0 to 1."""

    name: str
    area_ha: Figures
    users_accuracy: Figures
    producers_accuracy: Figures


@dataclass(frozen=True)
class AreaStratum:
    """A stratum of the map; `only_reference` is the class of all its points, or None if the classes differ."""

    name: str
    area_ha: float
    weight: float
    samples: int
    only_reference: str | None = None


@dataclass(frozen=True)
class AreaMap:
    """The sampled map."""

    path: str


@dataclass(frozen=True)
class AreaEstimate:
    """Part of an `area.json` that the page shows."""

    map: AreaMap
    samples: int
    confidence: float
    pixel_count: dict[str, float]
    strata: tuple[AreaStratum, ...]
    classes: tuple[AreaClass, ...]
    overall_accuracy: Figures
    confusion: tuple[tuple[int, ...], ...]
    error_matrix_proportions: tuple[tuple[float, ...], ...]
    unfilled: int = 0

    def __post_init__(self) -> None:
        """Check that matrices and counts have one entry for each class.

        Raises:
            ValueError: An entry is missing, or there are too many entries.
        """
        side = len(self.classes)
        for name in ("confusion", "error_matrix_proportions"):
            if {side} != {len(getattr(self, name)), *map(len, getattr(self, name))}:
                raise ValueError(f"{name} does not have {side} rows and columns, one for each class")
        for row in self.classes:
            if f"{row.name.replace(' ', '_')}_ha" not in self.pixel_count:
                raise ValueError(f"pixel_count has no {row.name}")


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
        found = read_json(path)
        estimate = from_plain(AreaEstimate, found)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {WANTED}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not an estimate of areas ({error}); {WANTED}") from error
    names = [row.name for row in estimate.classes]
    if LABEL_NAMES[CROPLAND] not in names:
        raise ConfigError(f"{path}: estimates {', '.join(names)}; wanted the estimate of a cropland map")
    return cast("dict[str, Any]", found)
