"""Rendering of the page: HTML that contains its styles, script and data."""

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from seg.evaluation.report.colours import (
    AGREED,
    COMMISSION,
    OMISSION,
    UNMAPPED,
    css,
    probability_ramp,
)
from seg.evaluation.report.page.charts import (
    TICKS,
    place_x,
    place_y,
    precision_recall_line,
    reliability_line,
    spans,
)
from seg.evaluation.report.page.content import PageContent
from seg.evaluation.report.page.frame import (
    TABLE_SCRIPTS,
    TABLE_STYLES,
    joined,
    joined_scripts,
    page_environment,
    script_hash,
)
from seg.evaluation.report.page.text import Words, read_words
from seg.evaluation.settings import Language
from seg.labels import CROPLAND, LABEL_COLOURS, OTHER

STYLES = (*TABLE_STYLES, "map.css")
SCRIPTS = (*TABLE_SCRIPTS, "decode.js", "view.js", "tiles.js", "map.js", "controls.js", "page.js")
"""Files that are joined into one script, in this order."""

THRESHOLD_ROWS = 21


def render_page(content: PageContent, language: Language) -> str:
    """Render the page as self-contained HTML.

    Args:
        content: Content of the page.
        language: Language of the page.
    """
    words = read_words(language)
    environment = page_environment(language, {"accuracy": content.accuracy, "area": content.area})
    say = Words(words)
    environment.globals.update(
        {
            "score_name": lambda key: say(f"score.{key}") if say.has(f"score.{key}") else key,
            "settings": _settings,
            "ticks": TICKS,
            "x": place_x,
            "y": place_y,
        }
    )
    environment.globals.update(_shown(content, words))
    script = joined_scripts(SCRIPTS)
    return environment.get_template("page.html.j2").render(
        style=Markup(joined("styles", STYLES)),
        colour_style=Markup(_colour_style()),
        script=Markup(script),
        script_hash=script_hash(script),
    )


def _shown(content: PageContent, words: Mapping[str, str]) -> dict[str, object]:
    accuracy = content.accuracy
    curves = accuracy["curves"] or {"precision_recall": [], "reliability": []}
    scale_start, drawn_spans = spans(accuracy["scores"])
    iou_start, iou_span = spans({"iou": accuracy["scores"]["iou"]})
    return {
        "accuracy": accuracy,
        "area": content.area,
        "area_bias": content.area_bias,
        "chips": content.chips,
        "cropland_area": content.cropland_area,
        "has_strata": content.has_strata,
        "hidden_scenes": len(content.scenes) < len(accuracy["pairs"]),
        "iou_span": iou_span["iou"],
        "iou_start": iou_start,
        "image_note": _image_note(content, words),
        "map_data": content.map_data(words),
        "on_map": {scene.name for scene in content.scenes},
        "pr": precision_recall_line(curves["precision_recall"]),
        "pr_step": max(1, (len(curves["precision_recall"]) - 1) // (THRESHOLD_ROWS - 1)),
        "reliability": reliability_line(curves["reliability"]),
        "scale_start": scale_start,
        "sections": content.sections,
        "spans": drawn_spans,
        "subject": content.subject,
    }


def _image_note(content: PageContent, words: Mapping[str, str]) -> str:
    """Note with the names of the shown bands; empty unless all scenes show the same bands."""
    bands = {tuple(scene.bands) for scene in content.scenes}
    named = next(iter(bands)) if len(bands) == 1 else ()
    return ", ".join(words["map.band"].format(band=band) if band.isdecimal() else band for band in named)


def _settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings as text; nested settings have dotted names such as "vector.layer"."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _settings(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found


def _colour_style() -> str:
    """Colours of the layers as CSS variables, so that legend and map have the same colours."""
    ramp = ", ".join(css(colour) for colour in probability_ramp()[::10])
    named = {
        "cropland": LABEL_COLOURS[CROPLAND],
        "other": LABEL_COLOURS[OTHER],
        "commission": COMMISSION,
        "omission": OMISSION,
        "unmapped": UNMAPPED,
        "agreed": AGREED,
    }
    variables = "".join(f"--layer-{name}: {css(colour)}; " for name, colour in named.items())
    return f":root {{ {variables}--layer-ramp: linear-gradient(to right, {ramp}); }}"
