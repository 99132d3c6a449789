"""Commands, options and configurations in the documents are valid."""

import re
from pathlib import Path

import pytest

from support.documents import (
    DOCUMENTS,
    OPTION,
    TOOLS,
    Mention,
    blocks,
    code_spans,
    command_lines,
    command_parsers,
    keys,
    problem_of_command,
    problem_of_configuration,
    problem_of_option,
    table_keys,
)
from support.project import ROOT

LANGUAGES = {"", "bash", "text", "csv", "python", "yaml"}
NOT_DOCUMENTED = {"debug", "labels", "vector", "tta"}
"""`--debug` is explained once for all commands; option groups are documented by their members."""

by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@by_name
def test_every_command_parses(document: Path) -> None:
    problems = [
        f"{line}\n    {problem}" for line in command_lines(document) if (problem := problem_of_command(line.text))
    ]
    assert not problems, "\n".join(problems)


@by_name
def test_every_option_exists(document: Path) -> None:
    spans = [*code_spans(document), *table_keys(document)]
    problems = [f"{span}\n    {problem}" for span in spans if (problem := problem_of_option(span))]
    assert not problems, "\n".join(problems)


@by_name
def test_every_configuration_parses(document: Path, tmp_path: Path) -> None:
    found = [(block, problem_of_configuration(block.text, tmp_path)) for block in blocks(document, "yaml")]
    assert not [f"{block}\n    {problem}" for block, problem in found if problem]


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_every_configuration_file_parses(path: Path, tmp_path: Path) -> None:
    assert problem_of_configuration(path.read_text(encoding="utf-8"), tmp_path) is None


@by_name
def test_every_python_block_compiles(document: Path) -> None:
    for block in blocks(document, "python"):
        compile(block.text, str(block), "exec")


@by_name
def test_every_language_that_a_code_block_declares_is_a_known_one(document: Path) -> None:
    found = re.findall(r"^```(\w+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(found) <= LANGUAGES


@by_name
def test_every_link_within_the_project_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", text):
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def anchors(path: Path) -> set[str]:
    """Anchors of the headings of a Markdown file."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_option_of_a_command_is_in_the_reference() -> None:
    document = ROOT / "scripts" / "README.md"
    named = {
        tool: {
            word[1].replace("-", "_")
            for span in code_spans(document)
            if span.heading.startswith(f"{tool}.py")
            for word in OPTION.finditer(span.text)
        }
        for tool in TOOLS
    }
    missing = {
        f"{tool} {name} --{key}"
        for tool in TOOLS
        if tool != "train"
        for name, parser in command_parsers(tool).items()
        for key in keys(parser) - named[tool] - NOT_DOCUMENTED
    }
    assert not missing


def test_readme_is_short() -> None:
    for name in ("README.md", "README.zh.md"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize(
    "command",
    [
        "python scripts/predict.py --model models/x --input scene.tif",
        "python scripts/predict.py --model models/x --input scene.tif --output map.tif --blok-size 7",
        "python scripts/predict.py --model models/x --input scene.tif --output map.tif --tolerance 7",
        "python scripts/prepare.py brun --image a --labels b --output c",
        "python scripts/train.py fit --data.root=x --trainer.max_epoch=3",
        "python scripts/train.py fit --data.root=x --trainer.max_epochs=many",
        "python scripts/paint.py --help",
        "python3 scripts/bootstrap.py demo now",
        "cropland-seg evaluate sample --prediction map.tif",
    ],
)
def test_an_invalid_command_is_detected(command: str) -> None:
    assert problem_of_command(command)


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("--halow", ""),
        ("--halo=far", ""),
        ("--halo=64", "polygons.py"),
        ("--model.model.output-stride", ""),
        ("--data.chips.tries=none", ""),
        ("--halo 64 --tile 7", "predict.py"),
    ],
)
def test_an_unknown_option_is_detected(text: str, heading: str) -> None:
    assert problem_of_option(Mention(ROOT / "README.md", 1, text, heading))


def test_an_invalid_configuration_is_detected(tmp_path: Path) -> None:
    assert problem_of_configuration("warmup: {epoch: 1}", tmp_path)
    assert problem_of_configuration("warmup: {epochs: 1}", tmp_path) is None
