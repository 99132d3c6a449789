"""Bands by the names that the images give them, where some images may not have them."""

from collections import Counter
from collections.abc import Sequence

from seg.data.checking.findings import Finding, error
from seg.data.dataset.bands import band_indexes
from seg.data.dataset.catalogue import Scene
from seg.errors import DatasetError, RasterError


def named_bands(scenes: Sequence[Scene], bands: Sequence[int | str]) -> tuple[tuple[int, ...], list[Finding]]:
    """The 1-based indexes of bands, and the images in which they are not there or elsewhere than in most.

    Training refuses such images, and takes the first for the rule; here most are, so that one odd image stays the odd
    one.

    Args:
        scenes: Whose images are read for the names; those that cannot be opened are left out.
        bands: Indexes, or names as the images' band descriptions have them.

    Raises:
        DatasetError: No image has all the names.
    """
    found: dict[Scene, tuple[int, ...]] = {}
    findings: list[Finding] = []
    refused = None
    for scene in scenes:
        try:
            found[scene] = tuple(band_indexes([scene], bands))
        except DatasetError as problem:
            refused = refused or problem
            findings.append(error("band-names", scene.image, str(problem)))
        except RasterError:
            continue  # It gets its finding when it is checked.
    if not found:
        if refused:
            raise refused
        return tuple(band for band in bands if isinstance(band, int)) or (1,), []
    [(usual, _)] = Counter(found.values()).most_common(1)
    for scene, indexes in found.items():
        if indexes != usual:
            message = f"has the bands {_listed(bands)} as {_listed(indexes)}, but most images as {_listed(usual)}"
            findings.append(error("band-names", scene.image, f"{message}; write it again in their order"))
    return usual, findings


def _listed(bands: Sequence[int | str]) -> str:
    return ", ".join(map(str, bands))
