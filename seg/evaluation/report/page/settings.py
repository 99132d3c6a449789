"""How the page is written: options of the command line. Light, so that asking for help is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """How the report's page is written.

    Args:
        lang: Language of `index.html`: English or Chinese.
        area_estimate: The `area.json` of an area estimate of the same map, to be shown beside its accuracy.
    """

    lang: Language = "en"
    area_estimate: Path | None = None
