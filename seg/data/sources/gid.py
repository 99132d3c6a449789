"""Import of GID: Gaofen-2 scenes of China, with 5 or 15 classes, colour-coded or numbered."""

import re
from collections.abc import Iterable
from pathlib import Path

from seg.data.settings import GidImages
from seg.data.sources.legend import Legend, Meaning
from seg.data.sources.origin import Found, Origin, Pair, no_mask, wrong_layout
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER

ORIGIN = Origin(
    name="GID",
    home="https://x-ytong.github.io/project/GID.html",
    licence="see the home page",
    citation=(
        "Tong, X.-Y., Xia, G.-S., Lu, Q., Shen, H., Li, S., You, S., Zhang, L. (2020). Land-cover classification with "
        "high-resolution remote sensing images using transferable deep models. Remote Sensing of Environment, 237, "
        "111322. doi:10.1016/j.rse.2019.111322"
    ),
)

_COARSE = (
    ((255, 0, 0), "built-up", OTHER),
    ((0, 255, 0), "farmland", CROPLAND),
    ((0, 255, 255), "forest", OTHER),
    ((255, 255, 0), "meadow", OTHER),
    ((0, 0, 255), "water", OTHER),
)

_FINE = (
    ((200, 0, 0), "industrial land", OTHER),
    ((250, 0, 150), "urban residential", OTHER),
    ((200, 150, 150), "rural residential", OTHER),
    ((250, 150, 150), "traffic land", OTHER),
    ((0, 200, 0), "paddy field", CROPLAND),
    ((150, 250, 0), "irrigated land", CROPLAND),
    ((150, 200, 150), "dry cropland", CROPLAND),
    ((200, 0, 200), "garden plot", OTHER),
    ((150, 0, 250), "arbor woodland", OTHER),
    ((150, 150, 250), "shrub land", OTHER),
    ((250, 200, 0), "natural grassland", OTHER),
    ((200, 200, 0), "artificial grassland", OTHER),
    ((0, 0, 200), "river", OTHER),
    ((0, 150, 200), "lake", OTHER),
    ((0, 200, 250), "pond", OTHER),
)
"""Classes in the order of their GID-15 numbers, from 1; see `datasets/gid15.py` of torchgeo. The colours come from a
table of the authors. The later dataset with 24 classes has the same colours; see `GID25Dataset` for mmsegmentation."""

COLOURS = Legend((Meaning((0, 0, 0), "unlabelled", IGNORE), *(Meaning(*row) for row in (*_COARSE, *_FINE))))
"""Classes of both tables; no colour occurs in both."""

NUMBERS = Legend(
    (
        Meaning(0, "unlabelled", IGNORE),
        *(Meaning(number, name, label) for number, (_, name, label) in enumerate(_FINE, start=1)),
    )
)

_IMAGE_FOLDERS = {"nir": "image_NirRGB", "rgb": "image_RGB"}
_LABEL_END = re.compile(r"_\d*label$")
_PARTS = {"train": False, "val": True}


def find_gid(folder: Path, images: GidImages = "auto") -> Found:
    """Find the labelled images in the layout of GID or GID-15.

    GID has `image_NirRGB` or `image_RGB` beside `label_5classes` or `label_15classes`, without an official split.
    GID-15 has `img_dir` and `ann_dir` with the parts train and val; images in test have no masks and are left out.

    Args:
        folder: Folder with these folders, or the parent of such a folder.
        images: Image folder of GID to use.

    Raises:
        DatasetError: The folder has another layout or several sets of labels, or an image has no mask.
    """
    roots = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    labels = [path for root in roots for path in sorted(root.glob("label_*")) if path.is_dir()]
    if len(labels) > 1:
        raise DatasetError(
            f"{folder}: holds {len(labels)} sets of labels, such as {labels[0]} and {labels[1]}; name one with --input"
        )
    if labels:
        return _find_colour_coded(labels[0], images)
    numbered = next((root for root in roots if (root / "img_dir").is_dir() and (root / "ann_dir").is_dir()), None)
    if numbered is None:
        wanted = "image_NirRGB or image_RGB with label_5classes or label_15classes, or img_dir with ann_dir"
        raise wrong_layout(folder, ORIGIN, wanted)
    return _find_numbered(numbered)


def _find_colour_coded(labels: Path, images: GidImages) -> Found:
    wanted = list(_IMAGE_FOLDERS) if images == "auto" else [images]
    folders = [labels.parent / _IMAGE_FOLDERS[kind] for kind in wanted]
    found = next((path for path in folders if path.is_dir() and any(path.glob("*.tif"))), None)
    if found is None:
        names = " or ".join(path.name for path in folders)
        raise wrong_layout(labels.parent, ORIGIN, f"{names} with *.tif in it")
    return Found(_pairs(found, labels, None), COLOURS)


def _find_numbered(root: Path) -> Found:
    pairs = [pair for part, held in _PARTS.items() for pair in _pairs(root / "img_dir" / part, root / "ann_dir", held)]
    if not pairs:
        raise wrong_layout(root, ORIGIN, "*.tif in img_dir/train and img_dir/val")
    unlabelled = len(list((root / "img_dir" / "test").glob("*.tif")))
    notes = [f"test was left out, because its masks are not published (images: {unlabelled})"] if unlabelled else []
    return Found(pairs, NUMBERS, notes)


def _pairs(images: Path, labels: Path, held_out: bool | None) -> list[Pair]:
    labels = labels if held_out is None else labels / images.name
    masks = _by_scene(path for path in sorted(labels.glob("*")) if path.suffix in {".tif", ".png"})
    pairs = []
    for image in sorted(images.glob("*.tif")):
        if image.stem not in masks:
            raise no_mask(image, labels / f"{image.stem}_label.tif")
        pairs.append(Pair(image, masks[image.stem], image.stem, image.stem, held_out))
    return pairs


def _by_scene(masks: Iterable[Path]) -> dict[str, Path]:
    return {_LABEL_END.sub("", path.stem): path for path in masks}
