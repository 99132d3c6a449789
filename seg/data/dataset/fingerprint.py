"""Hash of a dataset, to compare the data of two runs."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from seg.data.dataset.catalogue import Scene
from seg.raster.remote import is_remote
from seg.raster.sources import image_files

PIECE = 64 * 1024
"""Number of bytes that are read at the beginning, in the middle and at the end of a file."""
COVERS = (
    "paths in the dataset, folds, weights, meaning of the labels; for every image and mask, including sources of VRT "
    f"files and .msk files, its size and {PIECE // 1024} KiB from its beginning, its middle and its end"
)


def dataset_fingerprint(root: Path, scenes: Sequence[Scene]) -> dict[str, object]:
    """Hash a dataset, as plain values with the keys `root`, `scenes`, `files`, `bytes`, `sha256` and `covers`.

    Large files are sampled, since reading every byte of a county takes minutes. A change outside the samples is not
    detected if the file size stays the same. File times are not part of the hash, so a copied dataset has the same
    hash.

    Args:
        root: The dataset.
        scenes: All scenes of the dataset, in order.

    Raises:
        RasterError: An image cannot be opened.
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    seen: dict[Path, int] = {}
    for scene in scenes:
        facts = [_name(scene.image, root), _name(scene.mask, root), scene.fold, float(scene.weight), repr(scene.labels)]
        digest.update(json.dumps(facts).encode())
        for file in (*_files(scene.image), *_files(scene.mask)):
            if file not in seen:
                seen[file] = file.stat().st_size
                digest.update(json.dumps([_name(file, root), seen[file]]).encode())
                digest.update(_sample(file, seen[file]))
    return {
        "root": str(root.resolve()),
        "scenes": len(scenes),
        "files": len(seen),
        "bytes": sum(seen.values()),
        "sha256": digest.hexdigest(),
        "covers": COVERS,
    }


def images_fingerprint(images: Sequence[Path]) -> dict[str, object]:
    """Hash images without masks, as plain values with the keys `scenes` and `sha256`.

    Files are sampled as by `dataset_fingerprint`. Paths are not part of the hash, so copied images have the same hash.

    Args:
        images: Images of unlabelled scenes. Of an image on a server, only the address is hashed.

    Raises:
        RasterError: An image cannot be opened.
        OSError: A file cannot be read.
    """
    digests = []
    for image in images:
        digest = hashlib.sha256(str(image).encode() if is_remote(image) else b"")
        for file in () if is_remote(image) else _files(image):
            digest.update(_sample(file, file.stat().st_size))
        digests.append(digest.hexdigest())
    return {"scenes": len(images), "sha256": hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()}


def _files(raster: Path) -> list[Path]:
    if raster.suffix.lower() == ".vrt":
        return image_files(raster)
    # GDAL can list the same files, but needs a millisecond per raster.
    beside = raster.with_name(f"{raster.name}.msk")
    return [raster, beside] if beside.is_file() else [raster]


def _sample(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        if size <= 3 * PIECE:
            return file.read()
        pieces = [file.read(PIECE)]
        for start in ((size - PIECE) // 2, size - PIECE):
            file.seek(start)
            pieces.append(file.read(PIECE))
    return b"".join(pieces)


def _name(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
