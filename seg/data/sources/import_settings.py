"""Settings of the import of a public dataset. This module has no slow imports, so that `--help` is quick."""

from dataclasses import dataclass, fields
from typing import Literal

from seg.errors import ConfigError

SourceName = Literal["loveda", "deepglobe", "gid", "ftw"]
Boundary = Literal["cropland", "other", "ignore"]
SeasonWindow = Literal["a", "b", "both", "pair"]
GidImages = Literal["auto", "nir", "rgb"]

_OWNERS: dict[str, SourceName] = {"boundary": "ftw", "window": "ftw", "gid_images": "gid"}


@dataclass(frozen=True)
class ImportSettings:
    """Settings of the import of a public dataset.

    Attributes:
        copy: Copy the images; otherwise the manifest lists their original paths.
        boundary: For ftw, the label of field boundaries. If `cropland`, the masks with 2 classes are used; in these
            masks, boundaries belong to the fields.
        window: For ftw, the season of the images: planting (a) or harvest (b). `both` imports two scenes for each place
            and puts them into the same fold. `pair` imports one scene for each place with the bands of both seasons,
            such as red@planting and red@harvest.
        gid_images: For gid, the images of 4 bands (nir) or of 3 bands (rgb). `auto` uses those of 4 bands if they
            exist.
    """

    copy: bool = False
    boundary: Boundary = "cropland"
    window: SeasonWindow = "both"
    gid_images: GidImages = "auto"

    def require_fitting(self, source: SourceName) -> None:
        """Check that no setting of another dataset is set.

        Args:
            source: Dataset to import.

        Raises:
            ConfigError: A setting would have no effect.
        """
        for setting in fields(self):
            value, owner = getattr(self, setting.name), _OWNERS.get(setting.name, source)
            if owner != source and value != setting.default:
                option = setting.name.replace("_", "-")
                raise ConfigError(
                    f"--{option} is {value}, but only --source={owner} uses it; leave it out for {source}"
                )
