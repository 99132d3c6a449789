import re
from importlib.resources import files
from string import Formatter

import pytest

from seg.evaluation.report.page.render import SCRIPTS
from seg.evaluation.report.page.words import TAGS, Words, read_words

FOLDER = files("seg.evaluation.report.page").joinpath("static")


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_languages_have_the_same_sentences_with_the_same_values() -> None:
    english, chinese = (read_words(language) for language in TAGS)
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert blanks(text) == blanks(chinese[key]), key


def test_every_sentence_is_used_and_every_used_one_is_there() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8") for path in FOLDER.iterdir() if path.name.endswith((".j2", ".js"))
    )
    words = read_words("en")
    said = set(re.findall(r"""say\(["']([\w.]+)["']\s*[,)]""", sources))
    assert said <= words.keys()
    # Sentences whose key is put together, such as "layer." ~ layer, are used by their beginning.
    joined = tuple(re.findall(r"""(?:say|has)\(["']([\w.]+\.)["'] ~""", sources))
    dotted = set(re.findall(r"""words(?:\.(\w+)|\["([\w.]+)"\]|, "([\w.]+)")""", sources))
    by_script = {part for parts in dotted for part in parts if part}
    unused = {key for key in words.keys() - said - by_script if not key.startswith(joined)}
    assert unused <= {"percent", "map.band"} | {key for key in words if key.startswith("score.")}


def test_values_are_escaped_but_html_is_not() -> None:
    say = Words({"greeting": "<{name}>"})
    assert say("greeting", name="<b>") == "&lt;&lt;b&gt;&gt;"


def test_sentence_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        Words({})("nothing")


def test_script_does_not_end_its_own_tag() -> None:
    for name in SCRIPTS:
        assert "</" not in FOLDER.joinpath(name).read_text(encoding="utf-8")
