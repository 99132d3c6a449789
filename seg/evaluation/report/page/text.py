"""Texts and numbers of the page as HTML, in English or Chinese."""

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Literal

from markupsafe import Markup, escape

from seg.evaluation.settings import Language

TAGS: dict[Language, str] = {"en": "en", "zh": "zh-Hans"}
"""HTML language tags; browsers use them to choose the forms of Chinese characters."""

Kind = Literal["score", "percent", "count", "hectares", "metres", "plain"]

MISSING = "–"
"""Text for an undefined number, such as recall if the reference has no cropland."""


def read_words(language: Language) -> dict[str, str]:
    """Labels and sentences of the page by key."""
    folder = files("seg.evaluation.report.page").joinpath("static", "words")
    words: dict[str, str] = json.loads(folder.joinpath(f"{language}.json").read_text(encoding="utf-8"))
    return words


class Words:
    """Texts of the page, filled with values.

    Args:
        words: Texts by key, with names of values in braces.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = words

    def __call__(self, key: str, **values: object) -> Markup:
        """Fill a text with values; plain values are escaped, `Markup` is kept.

        Raises:
            KeyError: The key is unknown, or a value is missing.
        """
        return escape(self.words[key]).format(**values)

    def has(self, key: str) -> bool:
        """True if there is a text with this key."""
        return key in self.words


def shown(value: float, kind: Kind, percent_sign: str = "%") -> str:
    """Format a number with the number of digits for its kind.

    Args:
        value: A finite number; a share from 0 to 1 for "percent".
        kind: Kind of number.
        percent_sign: Percent sign, with a space before it if the language requires one.
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
    """Numbers of JSON documents as HTML.

    Args:
        documents: Documents by name.
        percent_sign: Percent sign, with a space before it if the language requires one.
    """

    def __init__(self, documents: Mapping[str, Any], percent_sign: str) -> None:
        self.documents = documents
        self.percent_sign = percent_sign

    def at(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Value at a dotted path, for example "accuracy.scores.iou.value"; None if the path leads nowhere."""
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
        """Number at a path as an HTML `data` element with the path and the unrounded value."""
        value = self.at(path)
        if value is None:
            return Markup('<span class="missing" data-path="{}">{}</span>').format(path, MISSING)
        text = shown(value, kind, self.percent_sign)
        return Markup('<data data-path="{}" value="{!r}">{}</data>').format(path, value, text)

    def text(self, value: float | None, kind: Kind = "score") -> str:
        """Format a number that is not in a document."""
        return MISSING if value is None else shown(value, kind, self.percent_sign)
