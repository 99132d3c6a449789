"""Kills of commands at random moments, checks of the files that remain, and checks of the next run's result."""

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from seg.errors import PackageError
from seg.package.read import read_package
from support.command_lines import DELIVER, FIT
from support.processes import Ended, Job, Kill, Processes
from support.project import SCRIPTS
from support.resume_runs import content, differences
from support.world import copy_of

Tree = dict[str, bytes]
"""Contents of the files in a folder, by relative path."""

HIDDEN = re.compile(r"(^|/)\.|\.(partial|scenes)/|(^|/)claim$")
"""Pattern of the names of unfinished files and of scenes of products; only the next run of the command removes them."""

RUN_DEPENDENT = (
    # Time of the last change of each layer.
    (re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), b"<time>"),
    (re.compile(rb'"(created|seconds|duration_s|zones\.xlsx)": [^,\n]*'), b"<time>"),
)
"""Parts of files that depend on the time of writing."""


@dataclass(frozen=True)
class Work:
    """A command that writes files.

    Attributes:
        name: Name in reports.
        words: The command line; names are relative to the folder of `support.world`.
        needs: Inputs.
        earlier: Command line that wrote older outputs, which this command replaces; empty if there are none.
        kind: "files" if each output is checked by itself; "package", "dataset" or "run" if all files of the output must
            come from the same run of the command.
        output: The folder of a package, dataset or run.
        again: Command line that continues after a kill, if it differs from `words`.
        refuses: The command refuses to replace its own output, so after a late kill it ends with status 2.
    """

    name: str
    words: str
    needs: tuple[str, ...]
    earlier: str = ""
    kind: str = "files"
    output: str = ""
    again: str = ""
    refuses: bool = False


EXPORT = "export --checkpoint=run/checkpoints/last.ckpt --output=new_model"
EXPORT_AGAIN = "export --checkpoint=run/checkpoints/last.ckpt --output=model --threshold=0.25"
MAP = "predict --model=model --input=scene.tif --output=out.tif --threads=1 --block-size=16 --halo=8 --backend=torch"
REPORT = "evaluate --prediction=map.tif --reference=reference.tif --image=scene.tif --output=report --bootstrap=5"
MAPS = ("map.tif", "map_probability.tif", "reference.tif")
SAMPLE = "evaluate sample --prediction=map.tif --output=drawn.gpkg --points=12 --minimum=4"
BURN = "prepare burn --labels=parcels.gpkg --column=crop --cropland=wheat,maize"
COMPOSITE = "prepare composite --input scene.tif scenes/west.tif scenes/east.tif --output=composite.tif"
SPLIT = "prepare split --input=data --output=split"
SCENES = f"{SPLIT} --guard-m=0"
BLOCKS = f"{SPLIT} --by=blocks --block-size-m=80 --guard-m=10 --folds=2"
POLYGONS = "polygons --input=map.tif --probability=map_probability.tif"
IMPORT = "prepare import --source=loveda --input=LoveDA --output=imported"
ADAPT = "adapt --model=model --input=scenes --output=adapted --windows=2 --device=cpu"
RESUME = f"{FIT} --trainer.default_root_dir=run --ckpt_path=last --trainer.max_epochs=2"

WORKS = (
    Work("train", FIT, ("config.yaml", "data"), kind="run", output="new_run"),
    Work("resume", RESUME, ("config.yaml", "data", "run"), kind="run", output="run"),
    Work("export", f"{EXPORT} --onnx", ("run",), kind="package", output="new_model"),
    Work("export again", EXPORT_AGAIN, ("run", "model"), kind="package", output="model"),
    Work("predict layers", f"{MAP} --uncertainty --tta.dihedral=[identity,rot90] --halo=8", ("model", "scene.tif")),
    Work("predict again", f"{MAP} --threshold=0.6", ("model", "scene.tif"), f"{MAP} --threshold=0.2"),
    Work("predict scenes", MAP.replace("scene.tif", "scenes").replace("out.tif", "out"), ("model", "scenes")),
    Work("evaluate", REPORT, (*MAPS, "scene.tif")),
    Work("evaluate again", f"{REPORT} --seed=2", (*MAPS, "scene.tif"), REPORT),
    Work("sample", SAMPLE, MAPS, refuses=True),
    Work("area", "evaluate area --points=points.gpkg --output=report", ("points.gpkg", "points.design.json", *MAPS)),
    Work(
        "change",
        "evaluate change --before=map.tif --after=after.tif --output=change",
        (*MAPS, "after.tif", "after_probability.tif"),
        "evaluate change --before=after.tif --after=map.tif --output=change",
    ),
    *(
        Work(
            f"polygons {suffix}",
            f"{POLYGONS} --output=out.{suffix}",
            MAPS,
            f"polygons --input=map.tif --output=out.{suffix}",
        )
        for suffix in ("gpkg", "geojson", "parquet")
    ),
    *(Work(f"polygons {suffix}", f"polygons --input=map.tif --output=out.{suffix}", MAPS) for suffix in ("gdb", "shp")),
    Work(
        "deliver",
        f"{DELIVER} --parcels=parcels.gpkg --output=delivery",
        ("template.yaml", "parcels.gpkg", "counties.gpkg"),
        refuses=True,
    ),
    Work("image", "prepare image --input=S2.SAFE --output=may.vrt --mask=auto", ("S2.SAFE",)),
    Work("image file", "prepare image --input=S2.SAFE --output=may.tif --mask=auto", ("S2.SAFE",)),
    Work(
        "composite products",
        "prepare composite --input=S2.SAFE --output=summer.tif --bands=[B04,B08] --mask=auto",
        ("S2.SAFE",),
    ),
    # With little memory, the composite on this large grid has four blocks.
    Work(
        "composite blocks",
        "prepare composite --input scene.tif scenes/west.tif --output=summer.tif --grid=wide.tif --memory=0.75",
        ("scene.tif", "scenes", "wide.tif"),
    ),
    Work(
        "zones",
        "evaluate zones --prediction=map.tif --zones=counties.gpkg --output=table",
        (*MAPS, "counties.gpkg"),
    ),
    Work("check", "prepare check --input=data --output=check.json --sheet=check.png --chips", ("data",)),
    Work("stats", "prepare stats --input=data", ("data",)),
    Work(
        "stack",
        "prepare stack --input=bands --output=stack.vrt",
        ("bands",),
        "prepare stack --input=bands --output=stack.vrt --bands=[B03,B02]",
    ),
    Work("composite", f"{COMPOSITE} --method=best", ("scene.tif", "scenes"), COMPOSITE),
    Work("burn", f"{BURN} --image=scene.tif --output=mask.tif", ("parcels.gpkg", "scene.tif")),
    Work(
        "burn folder",
        f"{BURN} --image=data/images --output=burnt --outside=ignore",
        ("parcels.gpkg", "data"),
        f"{BURN} --image=data/images --output=burnt",
    ),
    Work("split scenes", SCENES, ("data",), kind="dataset", output="split", again=f"{SCENES} --replace"),
    Work(
        "split blocks",
        f"{BLOCKS} --seed=2 --replace",
        ("data",),
        f"{BLOCKS} --seed=1",
        kind="dataset",
        output="split",
    ),
    Work("import", f"{IMPORT} --copy", ("LoveDA",), kind="dataset", output="imported"),
    Work("import again", f"{IMPORT} --copy", ("LoveDA",), IMPORT, "dataset", "imported"),
    Work("demo", "prepare demo --output=demo", (), kind="dataset", output="demo"),
    Work("adapt", ADAPT, ("model", "scenes"), f"{ADAPT} --mix=0.1", "package", "adapted"),
    Work(
        "suggest",
        "prepare suggest --model=model --input=scene.tif --output=squares.gpkg --count=2 --size-m=160 --device=cpu",
        ("model", "scene.tif"),
    ),
    Work("restore", "restore --run=tracked --output=restored", ("tracked",), refuses=True),
)
"""All commands that write files; with new outputs, and with outputs that replace older ones."""


def tree_of(folder: Path) -> Tree:
    """Contents of the files in a folder, without parts that depend on the time."""
    return {
        path.relative_to(folder).as_posix(): _timeless(_without_identifiers(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _in_one_folder(tree: Tree) -> Tree:
    """Rename the folder `blocks-2` of a tree to `blocks`; a repeated split writes to one of them in turn."""
    return {
        name.replace("/blocks-2/", "/blocks/"): found.replace(b"blocks-2/", b"blocks/") for name, found in tree.items()
    }


def _without_identifiers(path: Path) -> bytes:
    """Content of a file; only the size in a File Geodatabase, which gets random identifiers; nothing of a workbook.

    A workbook holds the time of its writing.
    """
    if path.suffix == ".xlsx":
        return b""
    return str(path.stat().st_size).encode() if path.parent.suffix == ".gdb" else path.read_bytes()


def _timeless(content: bytes) -> bytes:
    for pattern, text in RUN_DEPENDENT:
        content = pattern.sub(text, content)
    return content


class Killing:
    """A command, its result without a kill, and the problems found after kills.

    Attributes:
        problems: Descriptions of the problems, of one or more lines each.
    """

    def __init__(self, work: Work, world: Path, processes: Processes, folder: Path) -> None:
        self.work, self.processes, self.folder = work, processes, folder
        # The folder is always the same, since maps store the path of their scene.
        self.place = copy_of(world, list(work.needs), folder / "place")
        if work.earlier:
            self._must(self._run(work.earlier))
        self.old = tree_of(self.place)
        shutil.copytree(self.place, folder / "begin")
        ended = self._run(work.words)
        self._must(ended)
        self.seconds, self.calls = ended.seconds, ended.calls
        self.new = tree_of(self.place)
        self.place.rename(folder / "whole")
        self.problems: list[str] = []

    def kill(self, seed: int) -> bool:
        """Kill a run, check the remaining files, and complete another run; False if the run ended before the kill.

        Args:
            seed: Seed of the moment of the kill, which is a time or a call that changes the file system.
        """
        random = Random(f"{self.work.name} {seed}")
        if random.random() < 0.5:
            kill = Kill(random.uniform(0, self.seconds))
        else:
            kill = Kill(call=random.randint(1, self.calls))
        shutil.copytree(self.folder / "begin", self.place)
        ended = self._run(self.work.words, kill)
        moment = f"call {kill.call} of {self.calls}" if kill.call else f"{kill.after:.3f} of {self.seconds:.3f} s"
        found = list(self._torn(self.place)) if ended.status is None else []
        has_manifest = (self.place / self.work.output / "manifest.csv").exists()
        again = self._run((self.work.again if has_manifest else "") or self.work.words)
        is_complete = self.work.refuses and again.status == 2 and self.new.items() <= tree_of(self.place).items()
        if again.status != 0 and not is_complete:
            found.append(f"the same command ended with {again.status}: {again.output[-500:]}")
        else:
            found += self._unlike(self.place)
        kept = self.folder / str(seed)
        self.place.rename(kept)
        self.problems += [f"{self.work.name}, seed {seed}, killed at {moment}, {kept}: {one}" for one in found]
        if not found:
            shutil.rmtree(kept)
        return ended.status is None

    def _torn(self, place: Path) -> Iterable[str]:
        """Files that are neither absent nor equal to the old or the new file."""
        left = {name: found for name, found in tree_of(place).items() if not HIDDEN.search(name)}
        output = self.work.output
        for name, found in left.items():
            known = {tree[name] for tree in (self.old, self.new) if name in tree}
            if not known and self.work.kind != "run":
                yield f"{name} belongs to no result"
            elif found not in known and not (output and name.startswith(f"{output}/")):
                yield f"{name} is torn"
        for name in self.old.keys() & self.new.keys() - left.keys():
            if self.old[name] not in left.values():  # A resumed run renames the files of its earlier part.
                yield f"{name} is lost"
        if output:
            yield from WHOLE[self.work.kind](self, place / output, left)

    def _unlike(self, place: Path) -> Iterable[str]:
        """Differences from the result of a run without a kill."""
        if self.work.kind == "run":
            yield from self._unlike_run(place / self.work.output)
            return
        found, wanted = _in_one_folder(tree_of(place)), _in_one_folder(self.new)
        if more := sorted(found.keys() - wanted.keys()):
            yield f"left over: {', '.join(more)}"
        if fewer := sorted(wanted.keys() - found.keys()):
            yield f"missing: {', '.join(fewer)}"
        if others := sorted(name for name in found.keys() & wanted.keys() if found[name] != wanted[name]):
            yield f"other bytes: {', '.join(others)}"

    def _unlike_run(self, run: Path) -> Iterable[str]:
        last = Path("checkpoints", "last.ckpt")
        if different := differences(content(run / last), content(self.folder / "whole" / self.work.output / last)):
            yield f"other weights or states: {', '.join(different[:3])}"
        left = [name for name in tree_of(run) if HIDDEN.search(name)]
        if left:
            yield f"left over: {', '.join(left)}"

    def _run(self, words: str, kill: Kill | None = None) -> Ended:
        command, *rest = words.split()
        [ended] = self.processes.run(Job(SCRIPTS / f"{command}.py", rest, folder=self.place, kill=kill))
        return ended

    def _must(self, ended: Ended) -> None:
        assert ended.status == 0, (self.work, ended.output)


def _torn_package(killing: Killing, package: Path, left: Tree) -> Iterable[str]:
    if not (package / "model.json").exists():
        return
    try:
        read_package(package)
    except PackageError as error:
        yield str(error)
    name = f"{killing.work.output}/model.json"
    whole = [tree[name] for tree in (killing.old, killing.new) if name in tree]
    # A package is whole before its ONNX file and its features are added.
    whole += [re.sub(rb'("(onnx|features)_sha256": )"\w+"', rb"\1null", content) for content in whole]
    if left[name] not in whole:
        yield f"{name} is torn"


def _torn_dataset(killing: Killing, dataset: Path, left: Tree) -> Iterable[str]:
    """Problems unless the manifest is the old or the new one, and all its files belong to the same run."""
    name = f"{killing.work.output}/manifest.csv"
    if name not in left:
        return
    version = next((tree for tree in (killing.new, killing.old) if tree.get(name) == left[name]), None)
    if version is None:
        yield f"{name} is torn"
        return
    for row in csv.DictReader(io.StringIO(left[name].decode())):
        for kind in ("image", "mask"):
            path = (dataset / row[kind]).resolve()
            inside = path.relative_to(dataset.parent.resolve()).as_posix()
            if left.get(inside) != version.get(inside) or inside not in left:
                yield f"{inside} is not what {name} lists"


def _torn_run(killing: Killing, run: Path, left: Tree) -> Iterable[str]:
    for path in run.glob("checkpoints/*.ckpt"):
        try:
            content(path)
        except Exception as error:  # A torn file may cause any error.
            yield f"{path.name} is torn ({error})"


WHOLE: dict[str, Callable[[Killing, Path, Tree], Iterable[str]]] = {
    "package": _torn_package,
    "dataset": _torn_dataset,
    "run": _torn_run,
}
"""Checks of outputs whose files must all come from the same run of the command, by kind."""
