"""The page's words in the languages it speaks."""

import json
from collections.abc import Mapping
from importlib.resources import files

from markupsafe import Markup, escape

from seg.evaluation.report.page.settings import Language

TAGS: dict[Language, str] = {"en": "en", "zh": "zh-Hans"}
"""How HTML names a language, by which browsers choose the forms of characters."""


def read_words(language: Language) -> dict[str, str]:
    """Every sentence and label of the page, by its key."""
    text = files("seg.evaluation.report.page").joinpath("static", f"{language}.json").read_text(encoding="utf-8")
    words: dict[str, str] = json.loads(text)
    return words


class Words:
    """The page's words, and sentences with values in them."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = words

    def __call__(self, key: str, **values: object) -> Markup:
        """A sentence with its values; what is not HTML already is escaped.

        Raises:
            KeyError: There is no such sentence, or it wants another value.
        """
        return escape(self.words[key]).format(**values)

    def has(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in self.words
