import re
from importlib.resources import files
from string import Formatter

import pytest

from seg.evaluation.report.page.render import SCRIPTS
from seg.evaluation.report.page.text import (
    MISSING,
    TAGS,
    Figures,
    Kind,
    Words,
    read_words,
    shown,
)

FOLDER = files("seg.evaluation.report.page").joinpath("static")
FIGURES = Figures({"accuracy": {"scores": {"iou": {"value": 0.12345, "low": None}}, "worst": [{"errors": 3}]}}, " %")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.95885, "score", "0.959"),
        (-0.5, "score", "\N{MINUS SIGN}0.500"),
        (0.9767, "percent", "97.7%"),
        (0.0001, "percent", "<0.1%"),
        (0, "percent", "0.0%"),
        (1234567, "count", "1,234,567"),
        (21158.2, "hectares", "21,158"),
        (12.34, "hectares", "12.3"),
        (10.0, "metres", "10"),
        (0.5, "plain", "0.5"),
    ],
)
def test_numbers_have_the_digits_of_their_kind(value: float, kind: Kind, text: str) -> None:
    assert shown(value, kind) == text


def test_number_has_its_path_and_unrounded_value() -> None:
    expected = '<data data-path="accuracy.scores.iou.value" value="0.12345">12.3 %</data>'
    assert FIGURES.num("accuracy.scores.iou.value", "percent") == expected


@pytest.mark.parametrize("path", ["accuracy.scores.iou.low", "accuracy.scores.mcc.value", "accuracy.worst.7.errors"])
def test_undefined_numbers_are_a_dash(path: str) -> None:
    assert FIGURES.at(path) is None
    assert f">{MISSING}<" in FIGURES.num(path)


def test_list_indexes_in_paths_count_from_0() -> None:
    assert FIGURES.at("accuracy.worst.0.errors") == 3


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_languages_have_the_same_texts_with_the_same_values() -> None:
    english, chinese = (read_words(language) for language in TAGS)
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert blanks(text) == blanks(chinese[key]), key


def test_every_text_is_used_and_every_used_text_exists() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for kind in ("templates", "scripts")
        for path in FOLDER.joinpath(kind).iterdir()
    )
    words = read_words("en")
    said = set(re.findall(r"""say\(["']([\w.]+)["']\s*[,)]""", sources))
    assert said <= words.keys()
    # Templates that compose a key, such as "layer." ~ layer, use all texts whose key begins so.
    joined = tuple(re.findall(r"""(?:say|has)\(["']([\w.]+\.)["'] ~""", sources))
    dotted = set(re.findall(r"""words(?:\.(\w+)|\["([\w.]+)"\]|, "([\w.]+)")""", sources))
    by_script = {part for parts in dotted for part in parts if part}
    unused = {key for key in words.keys() - said - by_script if not key.startswith(joined)}
    assert unused <= {"percent", "map.band", "zones.no", "zones.yes"} | {
        key for key in words if key.startswith("score.")
    }


def test_values_are_escaped_but_html_is_not() -> None:
    say = Words({"greeting": "<{name}>"})
    assert say("greeting", name="<b>") == "&lt;&lt;b&gt;&gt;"


def test_missing_text_is_an_error() -> None:
    with pytest.raises(KeyError):
        Words({})("nothing")


def test_no_script_contains_the_start_of_a_closing_tag() -> None:
    for name in SCRIPTS:
        assert "</" not in FOLDER.joinpath("scripts", name).read_text(encoding="utf-8")
