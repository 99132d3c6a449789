"""Damage to files: changed bytes, another object under the file's name, or changed content in the same format."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import yaml

from support.mutations.packages import mutate_checkpoint, mutate_onnx, mutate_weights, say_hashes_again
from support.mutations.rasters import mutate_raster
from support.mutations.values import mutate_text, mutate_tree
from support.mutations.vectors import mutate_table, mutate_vectors

Mutation = Callable[[Path, Random], str]
"""Function that damages a file and describes the damage."""


def mutate(target: Path, random: Random) -> str:
    """Damage a file, or a file in a folder; return a description of the damage."""
    if target.is_dir():
        if random.random() < 0.1:
            return _mutate_folder(target, random)
        target = random.choice(sorted(path for path in target.rglob("*") if path.is_file()))
    kinds = CONTENT.get(target.suffix.lower(), [])
    mutation = random.choice(kinds) if kinds and random.random() < 0.7 else _mutate_bytes
    if random.random() < 0.05:
        mutation = _put_another_thing
    before = target.read_bytes()
    try:
        told = mutation(target, random)
    except Exception as error:  # A library may reject the change with any error.
        if target.is_file() or not target.exists():
            target.write_bytes(before)
        told = f"{_mutate_bytes(target, random)} (instead of a change that {type(error).__name__} prevents)"
    if target.parent.joinpath("model.json").is_file() and random.random() < 0.6:
        say_hashes_again(target.parent)
        told += ", hashes said again"
    return f"{target.name}: {told}"


def _mutate_bytes(path: Path, random: Random) -> str:
    content = bytearray(path.read_bytes())
    size = len(content)
    if not size:
        return "empty already"
    # Most formats have a header at the beginning or the end of the file.
    end = min(size, 600)
    at = random.choice([random.randrange(size), random.randrange(end), size - 1 - random.randrange(end)])
    match random.randrange(6):
        case 0:
            for _ in range(random.choice([1, 1, 3, 30])):
                content[random.randrange(size)] ^= 1 << random.randrange(8)
            told = "bits flipped"
        case 1:
            content[at] = random.randrange(256)
            told = f"byte {at} changed"
        case 2:
            del content[at:]
            told = f"cut off at {at} of {size}"
        case 3:
            length = random.choice([1, 4, 100])
            content[at : at + length] = bytes([random.choice([0, 255])]) * length
            told = f"{length} bytes at {at} overwritten"
        case 4:
            del content[at : at + random.choice([1, 8])]
            told = f"bytes at {at} taken out"
        case _:
            content[at:at] = random.randbytes(random.choice([1, 50]))
            told = f"bytes put in at {at}"
    path.write_bytes(content)
    return told


def _put_another_thing(path: Path, random: Random) -> str:
    """Replace a file by another object of the same name."""
    kind = random.choice(["nothing", "empty", "folder", "loop", "text", "zeros", "neighbour"])
    neighbours = sorted(other for other in path.parent.iterdir() if other.is_file() and other != path)
    content = random.choice(neighbours).read_bytes() if neighbours else b"x"
    path.unlink()
    match kind:
        case "empty":
            path.touch()
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path.name)
        case "text":
            path.write_text("<html><body>404 Not Found</body></html>\n")
        case "zeros":
            path.write_bytes(bytes(5000))
        case "neighbour":
            path.write_bytes(content)
    return f"{kind} in its place"


def _mutate_folder(folder: Path, random: Random) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    file = random.choice(files)
    match random.randrange(6):
        case 0:
            file.with_name(f"._{file.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(200))
            return f"{folder.name}: ._ file beside {file.name}"
        case 1:
            file.with_suffix(".zip" if file.suffix == ".tif" else ".tif").write_bytes(file.read_bytes())
            return f"{folder.name}: {file.name} with another suffix too"
        case 2:
            file.with_name(f"copy of {file.name}").write_bytes(file.read_bytes())
            return f"{folder.name}: a copy of {file.name}"
        case 3:
            (file.parent / "folder.tif").mkdir()
            return f"{folder.name}: a folder with the name of a file"
        case 4:
            shutil.rmtree(folder)
            folder.mkdir()
            return f"{folder.name}: empty"
        case _:
            shutil.rmtree(file.parent)
            return f"{file.parent.name}: gone"


def _mutate_json(path: Path, random: Random) -> str:
    content = json.loads(path.read_text(encoding="utf-8"))
    told = mutate_tree(content, random)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return told


def _mutate_yaml(path: Path, random: Random) -> str:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    told = mutate_tree(content, random)
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return told


def _mutate_lines(path: Path, random: Random) -> str:
    text, told = mutate_text(path.read_text(encoding="utf-8"), random)
    path.write_text(text, encoding=random.choice(["utf-8", "utf-8", "utf-8", "gb18030", "utf-16"]), errors="replace")
    return told


CONTENT: dict[str, list[Mutation]] = {
    ".tif": [mutate_raster],
    ".png": [mutate_raster],
    ".vrt": [_mutate_lines],
    ".json": [_mutate_json, _mutate_json, _mutate_lines],
    ".yaml": [_mutate_yaml, _mutate_yaml, _mutate_lines],
    ".geojson": [_mutate_json, mutate_vectors],
    ".gpkg": [mutate_vectors],
    ".shp": [mutate_vectors],
    ".parquet": [mutate_table],
    ".csv": [mutate_table, _mutate_lines],
    ".txt": [_mutate_lines],
    ".safetensors": [mutate_weights],
    ".onnx": [mutate_onnx],
    ".ckpt": [mutate_checkpoint],
}
"""Damage to the content of a file, by suffix."""
