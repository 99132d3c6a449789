"""Import of LoveDA: 0.3 m scenes from Google Earth of Nanjing, Changzhou and Wuhan, with 7 classes."""

from pathlib import Path

from seg.data.sources.legend import Legend, Meaning
from seg.data.sources.origin import Found, Origin, Pair, no_mask, wrong_layout
from seg.labels import CROPLAND, IGNORE, OTHER

ORIGIN = Origin(
    name="LoveDA",
    home="https://github.com/Junjue-Wang/LoveDA",
    licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/)",
    citation=(
        "Wang, J., Zheng, Z., Ma, A., Lu, X., Zhong, Y. (2021). LoveDA: A Remote Sensing Land-Cover Dataset for Domain "
        "Adaptive Semantic Segmentation. NeurIPS Datasets and Benchmarks. arXiv:2110.08733"
    ),
)

LEGEND = Legend(
    (
        Meaning(0, "no-data", IGNORE),
        Meaning(1, "background", OTHER),
        Meaning(2, "building", OTHER),
        Meaning(3, "road", OTHER),
        Meaning(4, "water", OTHER),
        Meaning(5, "barren", OTHER),
        Meaning(6, "forest", OTHER),
        Meaning(7, "agriculture", CROPLAND),
    )
)
"""Values from the documentation of the dataset; see also `datasets/loveda.py` of torchgeo."""

_PARTS = {"Train": False, "Val": True}
"""Labelled parts by the name of their folder; True for held-out parts."""

_AREAS = ("Rural", "Urban")


def find_loveda(folder: Path) -> Found:
    """Find the labelled images in `Train` and `Val`; images in `Test` have no masks and are left out.

    Args:
        folder: Folder with `Train/Rural/images_png`, `Train/Rural/masks_png` and so on.

    Raises:
        DatasetError: The folder has another layout, or an image has no mask.
    """
    pairs = []
    for part, held_out in _PARTS.items():
        for area in _AREAS:
            for image in sorted((folder / part / area / "images_png").glob("*.png")):
                mask = folder / part / area / "masks_png" / image.name
                if not mask.is_file():
                    raise no_mask(image, mask)
                name = f"{part}_{area}_{image.stem}".lower()
                pairs.append(Pair(image, mask, name, name, held_out))
    if not pairs:
        wanted = "PNG images in " + ", ".join(f"{part}/{area}/images_png" for part in _PARTS for area in _AREAS)
        raise wrong_layout(folder, ORIGIN, wanted)
    unlabelled = sum(1 for area in _AREAS for _ in (folder / "Test" / area / "images_png").glob("*.png"))
    notes = [f"Test was left out, because its masks are not published (images: {unlabelled})"] if unlabelled else []
    return Found(pairs, LEGEND, notes)
