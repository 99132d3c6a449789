"""Whose a public dataset is, and what its users must be told."""

from dataclasses import dataclass
from pathlib import Path

from seg.data.sources.legend import Legend
from seg.errors import DatasetError, listed
from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_NAMES,
    OTHER,
)

_NAMED = 5
"""An error names at most so many entries of a folder."""


@dataclass(frozen=True)
class Origin:
    """Whose a dataset is.

    Attributes:
        name: Its name.
        home: Its home page.
        licence: What it may be used for.
        citation: What to cite.
    """

    name: str
    home: str
    licence: str
    citation: str

    @property
    def title(self) -> str:
        """First line of the README, by which a later import knows its own output."""
        return f"# {self.name}, imported for cropland"


def readme(origin: Origin, legend: Legend, folds: str, copied: bool) -> str:
    """The README of an imported dataset.

    Args:
        origin: Whose it is.
        legend: What its masks held.
        folds: What the folds are.
        copied: Whether its images were copied.
    """
    classes = "\n".join(f"| {m.value} | {m.name} | {LABEL_NAMES[m.label]} |" for m in legend.meanings)
    return (
        f"{origin.title}\n\nMade by `python scripts/prepare.py import`; a new import replaces this folder.\n\n"
        f"- Home page: {origin.home}\n- Licence: {origin.licence}\n- Cite: {origin.citation}\n\n"
        f"Masks: {OTHER} other, {CROPLAND} cropland, {IGNORE} no label. "
        f"Images: {'copied' if copied else 'named in the manifest where they are; do not move them'}. "
        f"Folds: {folds}.\n\n| in the source | class | label |\n|---|---|---|\n{classes}\n"
    )


def wrong_layout(folder: Path, origin: Origin, wanted: str) -> DatasetError:
    """The error of a folder that is not laid out as the dataset is distributed.

    Args:
        folder: What the user named.
        origin: The dataset.
        wanted: The folders that were looked for.
    """
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "no such folder"
        return DatasetError(f"{folder}: {kind}; wanted the unpacked folder of {origin.name}")
    entries = sorted(path.name for path in folder.iterdir())
    return DatasetError(
        f"{folder}: is not laid out like {origin.name}; looked for {wanted}, found "
        f"{listed(entries, _NAMED) or 'nothing'}; unpack the archives there, or name the folder that holds these"
    )
