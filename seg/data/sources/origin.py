"""Origin and contents of a public dataset, and the README of an import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seg.data.sources.legend import Legend
from seg.errors import DatasetError, listed
from seg.labels import CROPLAND, IGNORE, LABEL_NAMES, OTHER

_NAMED = 5
"""Largest number of folder entries in an error message."""


@dataclass(frozen=True)
class Origin:
    """Origin of a public dataset.

    Attributes:
        name: Name of the dataset.
        home: Address of the home page.
        licence: Licence, with an address.
        citation: Publication to cite.
    """

    name: str
    home: str
    licence: str
    citation: str

    @property
    def title(self) -> str:
        """First line of the README; a later import recognises its own folder by this line."""
        return f"# {self.name}, imported for cropland"


@dataclass(frozen=True)
class Pair:
    """An image of a public dataset and its mask.

    Attributes:
        image: The image.
        mask: The mask, in the values or colours of the dataset.
        name: Unique name of the image in the layout of this project.
        place: Name of the place. Pairs of one place share the mask, its name and the fold.
        dates: Images of several dates, which the import stacks; `image` is one of them. Empty for a single image.
        bands: Names of the bands of these images.
        held_out: True in the official validation or test part, False in the training part, None if there are no
            official parts.
    """

    image: Path
    mask: Path
    name: str
    place: str
    held_out: bool | None = None
    dates: Mapping[str, Path] = field(default_factory=dict)
    bands: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """Contents of a public dataset.

    Attributes:
        pairs: Labelled images.
        legend: Classes of the masks.
        notes: One sentence for each part that is left out.
    """

    pairs: Sequence[Pair]
    legend: Legend
    notes: Sequence[str] = ()


def readme(origin: Origin, legend: Legend, folds: str, copied: bool) -> str:
    """README of an imported dataset.

    Args:
        origin: Origin of the dataset.
        legend: Classes of its masks.
        folds: Description of the folds.
        copied: True if the images were copied.
    """
    classes = "\n".join(f"| {m.value} | {m.name} | {LABEL_NAMES[m.label]} |" for m in legend.meanings)
    return (
        f"{origin.title}\n\nMade by `python scripts/prepare.py import`; a new import replaces this folder.\n\n"
        f"- Home page: {origin.home}\n- Licence: {origin.licence}\n- Cite: {origin.citation}\n\n"
        f"Masks: {OTHER} other, {CROPLAND} cropland, {IGNORE} no label. "
        f"Images: {'copied' if copied else 'listed in the manifest with their original paths; do not move them'}. "
        f"Folds: {folds}.\n\n| in the source | class | label |\n|---|---|---|\n{classes}\n"
    )


def wrong_layout(folder: Path, origin: Origin, wanted: str) -> DatasetError:
    """Error if a folder does not have the layout in which a dataset is distributed.

    Args:
        folder: Folder that the user named.
        origin: Origin of the dataset.
        wanted: Expected files and folders, in words.
    """
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "no such folder"
        return DatasetError(f"{folder}: {kind}; wanted the unpacked folder of {origin.name}")
    entries = sorted(path.name for path in folder.iterdir())
    return DatasetError(
        f"{folder}: does not have the layout of {origin.name}; wanted {wanted}, found "
        f"{listed(entries, _NAMED) or 'nothing'}; unpack the archives there, or name another folder"
    )


def no_mask(image: Path, wanted: Path) -> DatasetError:
    """Error for an image without a mask."""
    return DatasetError(f"{image}: has no mask; wanted {wanted}; unpack the masks too, or remove the image")
