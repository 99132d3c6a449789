"""Checks of the rules in CONTRIBUTING.md. Each check yields the violations in a source file."""

import ast
import graphlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

from support.project import ROOT

MAX_FILE_LINES = 400
MAX_BODY_LINES = 40
MAX_PARAMETERS = 5

TORCH = {
    "torch",
    "torchvision",
    "torchmetrics",
    "lightning",
    "pytorch_lightning",
    "segmentation_models_pytorch",
    "timm",
}
BARRED_LIBRARIES = {
    "raster": TORCH,
    "models": {"rasterio"},
    "inference": {"lightning", "pytorch_lightning"},
}
DASK = {"dask", "distributed", "dask_jobqueue"}
FREE_FOR_ALL = {"errors", "labels"}
FRONT_DOOR = "seg.entry.notebook"
"""`seg/__init__.py` may import from this module and no other, and only under TYPE_CHECKING."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """A Python file of the project; its path is relative to the root."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def folder(self) -> str:
        return PurePosixPath(self.path).parts[0]

    @property
    def module(self) -> str:
        return ".".join(PurePosixPath(self.path).with_suffix("").parts).removesuffix(".__init__")

    @property
    def room(self) -> str | None:
        """Room of a file in seg; "" for seg/__init__.py, None for files outside seg."""
        return room_of(self.module)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full dotted name of each import in the file."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                prefix = "." * node.level + (f"{node.module}." if node.module else "")
                yield from ((node.lineno, prefix + alias.name) for alias in node.names)

    def functions(self) -> Iterator[Function]:
        """Every function and method."""
        yield from (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def at(self, line: int, problem: str) -> str:
        """Message about a problem in a line."""
        return f"{self.path}:{line}: {problem}"


Check = Callable[[Source], Iterator[str]]


def room_of(module: str) -> str | None:
    top, _, rest = module.partition(".")
    return rest.split(".")[0] if top == "seg" else None


def read_rooms() -> dict[str, set[str]]:
    """Rooms that each room may import, from the table in CONTRIBUTING.md."""
    rows = re.findall(r"^\| (`.+?) \|.*\|(.*)\|$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    allowed: dict[str, set[str]] = {}
    for row, cell in rows:
        rooms = re.findall(r"`(\w+)`", row)
        named = {*allowed, *rooms} if "every room above" in cell else set(re.findall(r"`(\w+)`", cell))
        allowed |= dict.fromkeys(rooms, named)
    return allowed


ROOMS = read_rooms()


def imports_go_down(source: Source) -> Iterator[str]:
    room = source.room
    if room is None:
        return
    if room and room not in ROOMS:
        yield source.at(1, f"room {room!r} is not in the table of CONTRIBUTING.md")
    allowed = ROOMS.get(room, set()) | {room}
    if room not in FREE_FOR_ALL:
        allowed |= FREE_FOR_ALL
    for line, name in source.imports():
        target = room_of(name)
        if name.startswith("."):
            yield source.at(line, f"relative import {name!r}; write the full name")
        elif room == "" and target is not None and not name.startswith(f"{FRONT_DOOR}."):
            yield source.at(line, f"seg/__init__.py may import only {FRONT_DOOR}")
        elif room and target in ROOMS and target not in allowed:
            yield source.at(line, f"room {room!r} may not import seg.{target}")


def libraries_keep_to_their_rooms(source: Source) -> Iterator[str]:
    for line, name in source.imports():
        library = name.split(".")[0]
        if library in BARRED_LIBRARIES.get(source.room or "", ()):
            yield source.at(line, f"room {source.room!r} may not import {library}")
        if (
            source.folder == "seg"
            and library == "albumentations"
            and not source.path.startswith("seg/data/augmentation/")
        ):
            yield source.at(line, "only seg/data/augmentation may import albumentations")
        if source.folder == "seg" and library in DASK and not source.path.startswith("seg/inference/cluster/"):
            yield source.at(line, "only seg/inference/cluster may import dask")


def scripts_are_thin(source: Source) -> Iterator[str]:
    if source.folder != "scripts":
        return
    allowed = set() if source.path == "scripts/bootstrap.py" else {"seg", "jsonargparse"}
    for line, name in source.imports():
        if name.split(".")[0] not in allowed | sys.stdlib_module_names:
            yield source.at(
                line, f"a script imports {', '.join(['the standard library', *sorted(allowed)])}; not {name}"
            )


def files_are_short(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > MAX_FILE_LINES:
        yield source.at(lines, f"{lines} lines; at most {MAX_FILE_LINES}")


def functions_are_short(source: Source) -> Iterator[str]:
    for function in source.functions():
        body = function.body[1:] if ast.get_docstring(function) is not None else function.body
        lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        if lines > MAX_BODY_LINES:
            yield source.at(function.lineno, f"{function.name} has {lines} lines; at most {MAX_BODY_LINES}")


def signatures_are_short(source: Source) -> Iterator[str]:
    if source.folder == "tests":
        return
    for function in source.functions():
        # A library defines the signatures of hooks. Keyword-only parameters of constructors and commands are options.
        if function.name.startswith("on_"):
            continue
        counted = [*function.args.posonlyargs, *function.args.args]
        if function.name != "__init__" and source.room != "entry":
            counted += function.args.kwonlyargs
        names = [argument.arg for argument in counted if argument.arg not in {"self", "cls"}]
        if len(names) > MAX_PARAMETERS:
            yield source.at(function.lineno, f"{function.name} has {len(names)} parameters; at most {MAX_PARAMETERS}")


def public_names_have_docstrings(source: Source) -> Iterator[str]:
    if source.folder != "seg":
        return
    if ast.get_docstring(source.tree) is None:
        yield source.at(1, "the module has no docstring")
    for node in public_definitions(source.tree.body):
        if ast.get_docstring(node) is None:
            yield source.at(node.lineno, f"{node.name} has no docstring")


def public_definitions(body: Iterable[ast.stmt]) -> Iterator[ast.ClassDef | Function]:
    """Public classes, functions and methods; methods of derived classes are left out, since they may be overrides."""
    for node in body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef) and not node.bases:
                yield from public_definitions(node.body)


def import_cycles(sources: Iterable[Source]) -> Iterator[str]:
    # seg/__init__.py imports no module at run time, so `from seg import __version__` does not cause a cycle.
    by_module = {source.module: source for source in sources if source.room != ""}
    lines: dict[tuple[str, str], int] = {}
    for module, source in by_module.items():
        for line, name in source.imports():
            while name and name not in by_module:
                name = name.rpartition(".")[0]
            if name and name != module:
                lines.setdefault((module, name), line)
    graph = {module: [target for importer, target in lines if importer == module] for module in by_module}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        cycle = error.args[1][::-1]
        yield by_module[cycle[0]].at(lines[cycle[0], cycle[1]], f"import cycle {' -> '.join(cycle)}")


def unmirrored_tests(paths: Iterable[Path], root: Path = ROOT) -> Iterator[str]:
    """Test folders for which neither seg/ nor the project's root has a folder of the same name."""
    for path in paths:
        folder = path.parent.relative_to("tests")
        if not (root / "seg" / folder).is_dir() and not (root / folder).is_dir():
            yield f"{path.as_posix()}:1: tests a folder seg/{folder.as_posix()} that does not exist"


@cache
def project_sources() -> tuple[Source, ...]:
    """Every Python file of the project."""
    paths = [
        path
        for folder in ("seg", "scripts", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.is_file()
    ]
    return tuple(Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths)


CHECKS: list[Check] = [
    imports_go_down,
    libraries_keep_to_their_rooms,
    scripts_are_thin,
    files_are_short,
    functions_are_short,
    signatures_are_short,
    public_names_have_docstrings,
]
