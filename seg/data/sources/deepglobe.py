"""Import of DeepGlobe Land Cover: 0.5 m satellite scenes of mostly rural areas, with 7 colour-coded classes."""

from pathlib import Path

from seg.data.sources.legend import Legend, Meaning
from seg.data.sources.origin import Found, Origin, Pair, no_mask, wrong_layout
from seg.labels import CROPLAND, IGNORE, OTHER

ORIGIN = Origin(
    name="DeepGlobe Land Cover",
    home="https://competitions.codalab.org/competitions/18468",
    licence="see the home page",
    citation=(
        "Demir, I., Koperski, K., Lindenbaum, D., Pang, G., Huang, J., Basu, S., Hughes, F., Tuia, D., Raskar, R. "
        "(2018). DeepGlobe 2018: A Challenge to Parse the Earth through Satellite Images. CVPR Workshops, 172-181. "
        "arXiv:1805.06561"
    ),
)

LEGEND = Legend(
    (
        Meaning((0, 255, 255), "urban land", OTHER),
        Meaning((255, 255, 0), "agriculture land", CROPLAND),
        Meaning((255, 0, 255), "rangeland", OTHER),
        Meaning((0, 255, 0), "forest land", OTHER),
        Meaning((0, 0, 255), "water", OTHER),
        Meaning((255, 255, 255), "barren land", OTHER),
        Meaning((0, 0, 0), "unknown", IGNORE),
        Meaning((255, 0, 0), "no class: a blend where others meet", IGNORE),
    ),
    threshold=128,
)
"""Colours of the challenge. The masks have lossy compression, so the authors recommend a threshold of 128 for each
channel. See also `datasets/deepglobelandcover.py` of torchgeo. Agriculture includes orchards, vineyards and
nurseries."""

_IMAGE_END, _MASK_END = "_sat.jpg", "_mask.png"
_UNLABELLED = {"valid", "val", "test"}
"""Folders of images whose masks are not published."""


def find_deepglobe(folder: Path) -> Found:
    """Find the labelled images `*_sat.jpg`, with `*_mask.png` in the same folder or in a sibling folder `masks`.

    The challenge published only the masks of the training part, so no official validation part exists.

    Args:
        folder: Folder with the images, up to three levels deep.

    Raises:
        DatasetError: The folder has no image, or an image has no mask.
    """
    images = sorted(path for depth in range(4) for path in folder.glob("*/" * depth + f"*{_IMAGE_END}"))
    pairs, unlabelled = [], 0
    for image in images:
        mask = _mask_of(image)
        if mask.is_file():
            name = image.name.removesuffix(_IMAGE_END)
            pairs.append(Pair(image, mask, name, name))
        elif image.parent.name in _UNLABELLED:
            unlabelled += 1
        else:
            raise no_mask(image, mask)
    if not pairs:
        raise wrong_layout(folder, ORIGIN, f"*{_IMAGE_END} with *{_MASK_END} in it or in folders such as train/")
    notes = [f"validation and test were left out, because their masks are not published (images: {unlabelled})"]
    return Found(pairs, LEGEND, notes if unlabelled else [])


def _mask_of(image: Path) -> Path:
    name = image.name.removesuffix(_IMAGE_END) + _MASK_END
    apart = image.parent.parent / "masks" / name
    return apart if image.parent.name == "images" and apart.is_file() else image.parent / name
