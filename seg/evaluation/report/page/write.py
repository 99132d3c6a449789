"""Write the page: what the comparison found, in one HTML file that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

from seg.evaluation.pairs import Pair
from seg.evaluation.report.page.chips import worst_chips
from seg.evaluation.report.page.content import PageContent
from seg.evaluation.report.page.documents import Documents
from seg.evaluation.report.page.render import render_page
from seg.evaluation.report.page.scenes import lowest_scenes, map_scenes
from seg.evaluation.report.page.settings import Language
from seg.evaluation.settings import EvaluationSettings
from seg.files import complete_or_absent


def write_page(
    documents: Documents, pairs: Sequence[Pair], settings: EvaluationSettings, language: Language, path: Path
) -> None:
    """Write the report's HTML file.

    Args:
        documents: Where every number of the page comes from.
        pairs: The files that were compared, for the map and the chips.
        settings: What their values mean.
        language: Of the page.
        path: The file to write; complete or absent.

    Raises:
        RasterError: A raster cannot be read.
    """
    scenes = map_scenes(lowest_scenes(documents.accuracy, pairs), settings)
    limits = {scene.name: scene.limits for scene in scenes}
    chips = worst_chips(documents.accuracy["worst"], pairs, settings, limits)
    html = render_page(PageContent(documents.accuracy, documents.area, scenes, chips), language)
    with complete_or_absent(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
