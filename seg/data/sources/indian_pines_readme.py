"""README of the Indian Pines dataset: contents, origin and limits."""

from collections.abc import Iterable, Mapping, Sequence

from seg.data.splitting.folds import FoldSummary
from seg.labels import LABEL_NAMES

TITLE = "# Indian Pines: cropland in 4 bands"

CITATION = (
    "Baumgardner, M. F., Biehl, L. L., Landgrebe, D. A. (2015). 220 Band AVIRIS Hyperspectral Image Data Set: "
    "June 12, 1992 Indian Pine Test Site 3. Purdue University Research Repository. doi:10.4231/R7RX991C"
)
LICENCE = "CC BY 3.0 (https://creativecommons.org/licenses/by/3.0/); changed: 4 bands, classes joined, cut into blocks"

NOMINAL = (
    "nominal: UTM 16N, 20 m, centred near 40.46 N 87.0 W; not surveyed, and the rotation of the flight line is not "
    "modelled, so do not lay it over other maps"
)
"""Value of the GEOREFERENCE tag in every file."""

_TEXT = """\
{title}

Made by `python scripts/prepare.py demo`; a new run replaces this folder.

A farming landscape west of West Lafayette, Indiana, seen by the airborne spectrometer AVIRIS on 12 June 1992: 145 x 145
pixels of 20 m, early in the season, with much bare soil between the rows. Each pixel of the reference has one of 16
ground classes or no label; this dataset merges the classes into cropland and other.

**The georeference is nominal**: {nominal}. Areas in hectares are correct; positions are not.

## Files

| file | content |
|---|---|
| `images/block_NN.tif` | a block of the scene, 4 bands, uint16 |
| `masks/block_NN.tif` | its labels, uint8: 0 other, 1 cropland, 255 ignore |
| `manifest.csv` | `image,mask,fold`: image, mask and fold of each block |
| `scene.tif`, `scene_mask.tif` | the whole scene and its labels |
| `scene_folds.tif` | the fold of each pixel; 255 in the guard between blocks |

## Bands

Scaled radiance at the sensor: radiance = (value - 1000) / 500. Channels are numbered as in the original 220. The source
lacks 20 channels (104-108, 150-163 and 220); the four channels below are not among these.

| band | AVIRIS channel | centre (nm) |
|---|---|---|
{bands}

## Classes

| number in the source | ground class | label |
|---|---|---|
{classes}

## Folds

The blocks have different sizes and are {guard} pixels apart. They are assigned to the folds so that the folds have
similar labels. No training pixel touches a held-out pixel, but a field may extend across a guard. Scores therefore
measure how well a model maps other parts of this scene, not another place or year.

| fold | blocks | labelled pixels | cropland share |
|---|---|---|---|
{folds}

## Source and licence

{citation}

{licence}
"""


def readme(
    bands: Mapping[str, tuple[int, float]],
    classes: Sequence[tuple[str, int]],
    guard: int,
    folds: Sequence[FoldSummary],
) -> str:
    """README of the dataset.

    Args:
        bands: AVIRIS channel and centre in nm by band name.
        classes: Name and label of each ground class, in the order of their numbers.
        guard: Pixels between blocks.
        folds: Summary of each fold.
    """
    return _TEXT.format(
        title=TITLE,
        nominal=NOMINAL.removeprefix("nominal: "),
        bands=_rows([name, channel, centre] for name, (channel, centre) in bands.items()),
        classes=_rows([number, name, LABEL_NAMES[label]] for number, (name, label) in enumerate(classes)),
        guard=guard,
        folds=_rows([i, f.parts, f.labelled, f"{f.cropland_share:.3f}"] for i, f in enumerate(folds)),
        citation=CITATION,
        licence=LICENCE,
    )


def _rows(cells: Iterable[Sequence[object]]) -> str:
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in cells)
