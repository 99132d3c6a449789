"""Check the code against the house rules, and check that each rule finds a planted violation."""

from pathlib import Path

import pytest

from support.architecture import (
    CHECKS,
    MAX_BODY_LINES,
    MAX_FILE_LINES,
    ROOMS,
    ROOT,
    Check,
    Source,
    files_are_short,
    functions_are_short,
    import_cycles,
    imports_go_down,
    libraries_keep_to_their_rooms,
    project_sources,
    public_names_have_docstrings,
    scripts_are_thin,
    signatures_are_short,
    unmirrored_tests,
)

LONG_BODY = "    x = 1\n" * (MAX_BODY_LINES + 1)
SIX = "a, b, c, d, e, f"

VIOLATIONS: list[tuple[Check, str, str, int]] = [
    (imports_go_down, "seg/raster/x.py", "import os\nfrom seg.models.build import build", 2),
    (imports_go_down, "seg/models/x.py", "from seg import raster", 1),
    (imports_go_down, "seg/data/x.py", "def f():\n    import seg.training", 2),
    (imports_go_down, "seg/errors.py", "from seg.labels import IGNORE", 1),
    (imports_go_down, "seg/__init__.py", "from seg.training.cli import main", 1),
    (imports_go_down, "seg/__init__.py", "from seg.entry.commands import train", 1),
    (imports_go_down, "seg/benchmark/x.py", "from seg.entry.notebook import Model", 1),
    (imports_go_down, "seg/raster/x.py", "from . import grid", 1),
    (imports_go_down, "seg/cellar/x.py", "", 1),
    (libraries_keep_to_their_rooms, "seg/raster/x.py", "import torch.nn.functional as F", 1),
    (libraries_keep_to_their_rooms, "seg/models/x.py", "from rasterio.windows import Window", 1),
    (libraries_keep_to_their_rooms, "seg/inference/x.py", "from lightning import Trainer", 1),
    (libraries_keep_to_their_rooms, "seg/data/x.py", "import albumentations", 1),
    (libraries_keep_to_their_rooms, "seg/evaluation/x.py", "from distributed import Client", 1),
    (scripts_are_thin, "scripts/x.py", "import numpy", 1),
    (scripts_are_thin, "scripts/bootstrap.py", "import jsonargparse", 1),
    (files_are_short, "seg/x.py", "\n" * (MAX_FILE_LINES + 1), MAX_FILE_LINES + 1),
    (functions_are_short, "tests/x.py", f'def f():\n    """Do."""\n{LONG_BODY}', 1),
    (signatures_are_short, "seg/x.py", f"class A:\n    def f(self, {SIX}): ...", 2),
    (signatures_are_short, "seg/x.py", f"def f(*, {SIX}): ...", 1),
    (signatures_are_short, "seg/x.py", f"class A:\n    def __init__(self, {SIX}): ...", 2),
    (public_names_have_docstrings, "seg/x.py", "x = 1", 1),
    (public_names_have_docstrings, "seg/x.py", '"""X."""\ndef f(): ...', 2),
    (public_names_have_docstrings, "seg/x.py", '"""X."""\nclass A:\n    """A."""\n    def f(self): ...', 4),
]

INNOCENT: list[tuple[Check, str, str]] = [
    (imports_go_down, "seg/data/x.py", "from seg.raster.grid import Grid\nfrom seg.errors import SegError"),
    (imports_go_down, "seg/data/x.py", "from seg.data.sources import demo\nfrom seg import __version__"),
    (imports_go_down, "seg/training/cli.py", "from seg.training.segmentation import Task"),
    (imports_go_down, "scripts/x.py", "from seg.inference import predict"),
    (imports_go_down, "seg/__init__.py", "from seg.entry.notebook import Model, load_model"),
    (libraries_keep_to_their_rooms, "seg/training/x.py", "import torch, lightning"),
    (libraries_keep_to_their_rooms, "seg/data/augmentation/transforms.py", "import albumentations"),
    (
        scripts_are_thin,
        "scripts/x.py",
        "from pathlib import Path\nimport jsonargparse\nfrom seg.training.cli import main",
    ),
    (functions_are_short, "seg/x.py", 'def f():\n    """Do.\n' + "\n" * MAX_BODY_LINES + '    """\n'),
    (signatures_are_short, "seg/x.py", f"class A(Module):\n    def __init__(self, *, {SIX}): ..."),
    (signatures_are_short, "seg/x.py", f"class A(Callback):\n    def on_train_batch_end(self, {SIX}): ..."),
    (signatures_are_short, "seg/entry/x.py", f"def predict(*, {SIX}): ..."),
    (public_names_have_docstrings, "seg/x.py", '"""X."""\nclass A(B):\n    """A."""\n    def f(self): ...'),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_code_keeps_the_rule(check: Check) -> None:
    problems = [problem for source in project_sources() for problem in check(source)]
    assert not problems, "\n".join(problems)


def test_modules_import_each_other_without_cycles() -> None:
    problems = list(import_cycles(project_sources()))
    assert not problems, "\n".join(problems)


def test_folders_of_tests_mirror_the_code() -> None:
    problems = list(unmirrored_tests(path.relative_to(ROOT) for path in sorted((ROOT / "tests").rglob("test_*.py"))))
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(("check", "path", "text", "line"), VIOLATIONS)
def test_check_reports_file_and_line_of_a_planted_violation(check: Check, path: str, text: str, line: int) -> None:
    problems = list(check(Source(path, text)))
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(("check", "path", "text"), INNOCENT)
def test_check_accepts_valid_code(check: Check, path: str, text: str) -> None:
    assert list(check(Source(path, text))) == []


def test_every_check_has_a_planted_violation() -> None:
    assert {check for check, *_ in VIOLATIONS} == set(CHECKS)


def test_cycle_through_three_modules_is_reported_with_its_path() -> None:
    sources = [
        Source("seg/data/__init__.py", '"""Data."""\nfrom seg.data.a import A'),
        Source("seg/data/a.py", "from seg.data import b"),
        Source("seg/data/b.py", "import os\n\nfrom seg.data import A"),
        Source("seg/training/cli.py", "from seg.data import A"),
    ]
    [problem] = import_cycles(sources)
    assert problem in {
        "seg/data/__init__.py:2: import cycle seg.data -> seg.data.a -> seg.data.b -> seg.data",
        "seg/data/a.py:1: import cycle seg.data.a -> seg.data.b -> seg.data -> seg.data.a",
        "seg/data/b.py:3: import cycle seg.data.b -> seg.data -> seg.data.a -> seg.data.b",
    }
    assert list(import_cycles(sources[1:])) == []


def test_tests_of_a_folder_that_does_not_exist_are_reported(tmp_path: Path) -> None:
    (tmp_path / "seg" / "data").mkdir(parents=True)
    paths = [Path("tests/test_x.py"), Path("tests/data/test_x.py"), Path("tests/cellar/test_x.py")]
    assert [problem.split(":")[0] for problem in unmirrored_tests(paths, tmp_path)] == ["tests/cellar/test_x.py"]


def test_table_of_rooms_is_read_from_the_document() -> None:
    assert ROOMS["raster"] == {"files"}
    assert ROOMS["inference"] == {"raster", "package", "models", "files", "terminal"}
    assert ROOMS["losses"] == set()
    assert ROOMS["benchmark"] == set(ROOMS) - {"entry"}
    assert ROOMS["entry"] == set(ROOMS)
