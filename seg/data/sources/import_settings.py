"""How a public dataset is imported."""

from dataclasses import dataclass, fields
from typing import Literal

from seg.errors import ConfigError

SourceName = Literal["loveda", "deepglobe", "gid", "ftw"]
Boundary = Literal["cropland", "other", "ignore"]
SeasonWindow = Literal["a", "b", "both"]
GidImages = Literal["auto", "nir", "rgb"]

_OWNERS: dict[str, SourceName] = {"boundary": "ftw", "window": "ftw", "gid_images": "gid"}


@dataclass(frozen=True)
class ImportSettings:
    """How a public dataset is imported.

    Attributes:
        copy: Copy the images; otherwise the manifest names them where they are.
        boundary: ftw: What the edge of a field is; `cropland` takes the masks of 2 classes, which fill the fields.
        window: ftw: Season of the images, planting (a) or harvest (b); `both` gives two scenes a place, in one fold.
        gid_images: gid: Images of 4 bands (nir) or 3 (rgb); `auto` takes 4 where they are there.
    """

    copy: bool = False
    boundary: Boundary = "cropland"
    window: SeasonWindow = "both"
    gid_images: GidImages = "auto"

    def require_fitting(self, source: SourceName) -> None:
        """Check that no setting of another dataset was changed.

        Raises:
            ConfigError: One was; it would have no effect.
        """
        for setting in fields(self):
            value, owner = getattr(self, setting.name), _OWNERS.get(setting.name, source)
            if owner != source and value != setting.default:
                option = setting.name.replace("_", "-")
                raise ConfigError(f"--{option} is {value}, which only --source={owner} has; leave it out for {source}")
