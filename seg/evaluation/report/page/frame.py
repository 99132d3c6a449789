"""Parts that all pages share: templates, styles, scripts, texts and numbers."""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePath

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from seg.evaluation.report.page.text import TAGS, Figures, Words, read_words
from seg.evaluation.settings import Language

TABLE_STYLES = ("page.css", "tables.css")
TABLE_SCRIPTS = ("tables.js",)
"""Styles and script of pages with tables. The script sorts tables and switches the theme."""


def page_environment(language: Language, documents: Mapping[str, object]) -> Environment:
    """Jinja environment of the templates, with the functions `say`, `has`, `at`, `num`, `text` and `name_of`.

    Args:
        language: Language of the texts.
        documents: JSON documents by name; the page takes its numbers from them.
    """
    environment = Environment(
        loader=PackageLoader("seg.evaluation.report.page", "static/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "ensure_ascii": False}
    words = read_words(language)
    say, figures = Words(words), Figures(documents, words["percent"])
    environment.globals.update(
        {
            "at": figures.at,
            "has": say.has,
            "lang_tag": TAGS[language],
            "name_of": lambda path: PurePath(path).name,
            "num": figures.num,
            "say": say,
            "text": figures.text,
        }
    )
    return environment


def joined(kind: str, names: tuple[str, ...]) -> str:
    """Content of static files, one after the other.

    Args:
        kind: Folder of the files: "styles" or "scripts".
        names: Names of the files.
    """
    folder = files("seg.evaluation.report.page").joinpath("static", kind)
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def joined_scripts(names: tuple[str, ...]) -> str:
    """One script in strict mode from several files. The files share one scope, which no other script can reach.

    Args:
        names: Names of the files.
    """
    return f'"use strict";\n(() => {{\n{joined("scripts", names)}}})();\n'


def script_hash(script: str) -> str:
    """SHA-256 of a script in base64. The content security policy of the page allows only the script with this hash."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def render_tables(template: str, language: Language, documents: Mapping[str, object], **values: object) -> str:
    """Render a page of tables as self-contained HTML.

    Args:
        template: Name of the template.
        language: Language of the page.
        documents: JSON documents by name; the template has a variable of the same name for each.
        **values: Further values for the template.
    """
    script = joined_scripts(TABLE_SCRIPTS)
    return (
        page_environment(language, documents)
        .get_template(template)
        .render(
            **documents,
            **values,
            style=Markup(joined("styles", TABLE_STYLES)),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )
