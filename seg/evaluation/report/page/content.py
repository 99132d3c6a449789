"""Content of the evaluation report's HTML page, before rendering."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seg.evaluation.report.colours import palettes, probability_ramp
from seg.evaluation.report.page.chips import WorstChip
from seg.evaluation.report.page.scenes import MapScene
from seg.evaluation.report.page.tiles import TILE
from seg.labels import CROPLAND, LABEL_NAMES


@dataclass(frozen=True)
class PageContent:
    """Content of the page.

    Attributes:
        accuracy: Content of `accuracy.json`.
        area: Content of `area.json`; None without an area estimate.
        scenes: The scenes on the map.
        chips: The windows with the most wrong pixels.
    """

    accuracy: Mapping[str, Any]
    area: Mapping[str, Any] | None
    scenes: Sequence[MapScene]
    chips: Sequence[WorstChip]

    @property
    def subject(self) -> str:
        """Names of the first scenes, for the title."""
        names = [pair["name"] for pair in self.accuracy["pairs"]]
        return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")

    @property
    def sections(self) -> list[str]:
        """Names of the sections that have content, in order."""
        accuracy = self.accuracy
        shown = {
            "result": True,
            "map": True,
            "worst": self.chips,
            "curves": accuracy["curves"],
            "parcels": accuracy["boundary"] or accuracy["objects"],
            "scenes": True,
            "strata": self.has_strata,
            "area": self.area,
            "repeat": True,
        }
        return [name for name, there in shown.items() if there]

    @property
    def has_strata(self) -> bool:
        """True if there are scores by stratum."""
        return bool((self.accuracy["strata"] or {}).get("rows"))

    @property
    def area_bias(self) -> float | None:
        """Relative bias of the mapped cropland over the compared pixels; None if the reference has no cropland."""
        counts = self.accuracy["counts"]
        true = counts["tp"] + counts["fn"]
        return (counts["fp"] - counts["fn"]) / true if true else None

    @property
    def cropland_area(self) -> str:
        """Path to the cropland area in `area.json`."""
        names = [row["name"] for row in self.area["classes"]] if self.area else [LABEL_NAMES[CROPLAND]]
        return f"area.classes.{names.index(LABEL_NAMES[CROPLAND])}.area_ha"

    def map_data(self, words: Mapping[str, str]) -> dict[str, object]:
        """Data for the page's script: scenes, colours and texts.

        Args:
            words: Texts of the page by key.
        """
        return {
            "tile": TILE,
            "scenes": [scene.as_json() for scene in self.scenes],
            "palettes": palettes(),
            "ramp": probability_ramp(),
            "words": {key: text for key, text in words.items() if key.startswith("map.") or key in SPOKEN},
        }


SPOKEN = {"cropland", "other", "probability", "percent", "layer.prediction"}
"""Keys of the texts that the page's script shows, without the texts on the map."""
