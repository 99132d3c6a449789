"""Numbers as the page shows them, each with its full value and its place in the JSON beside it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from markupsafe import Markup

Kind = Literal["score", "percent", "count", "hectares", "metres", "plain"]

MISSING = "–"
"""Stands for a number that is undefined, such as the recall where there is no cropland."""


def shown(value: float, kind: Kind, percent_sign: str = "%") -> str:
    """A number as text.

    Args:
        value: Any finite one; a share from 0 to 1 for percents.
        kind: How many digits a reader wants of it.
        percent_sign: With the space that a language puts before it.
    """
    forms: dict[Kind, Callable[[], str]] = {
        "score": lambda: f"{value:.3f}",
        "percent": lambda: ("<0.1" if 0 < value < 0.0005 else f"{100 * value:.1f}") + percent_sign,
        "count": lambda: f"{value:,.0f}",
        "hectares": lambda: f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}",
        "metres": lambda: f"{value:,.4g}",
        "plain": lambda: f"{value:g}",
    }
    return forms[kind]().replace("-", "\N{MINUS SIGN}")


class Figures:
    """Numbers of JSON documents as HTML."""

    def __init__(self, documents: Mapping[str, Any], percent_sign: str) -> None:
        self.documents = documents
        self.percent_sign = percent_sign

    def at(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """What stands at a place, for example "accuracy.scores.iou.value"; None where there is no such place."""
        found: Any = self.documents
        for key in path.split("."):
            if isinstance(found, Mapping):
                found = found.get(key)
            elif isinstance(found, list | tuple) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                return None
        return found

    def num(self, path: str, kind: Kind = "score") -> Markup:
        """The number at a place, as a `data` element that names the place and holds the value unrounded."""
        value = self.at(path)
        if value is None:
            return Markup('<span class="missing" data-path="{}">{}</span>').format(path, MISSING)
        text = shown(value, kind, self.percent_sign)
        return Markup('<data data-path="{}" value="{!r}">{}</data>').format(path, value, text)

    def text(self, value: float | None, kind: Kind = "score") -> str:
        """A number that the page works out itself."""
        return MISSING if value is None else shown(value, kind, self.percent_sign)
