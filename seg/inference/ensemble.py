"""What models must have in common so that their probabilities of a scene can be averaged."""

from collections.abc import Sequence

from seg.errors import ConfigError, PackageError
from seg.inference.member import Member
from seg.inference.plan import counted
from seg.package.description import ModelPackage


def require_alike(names: Sequence[str], packages: Sequence[ModelPackage]) -> None:
    """Refuse models that cannot be averaged.

    Args:
        names: What messages call each model.
        packages: What is known of each.

    Raises:
        PackageError: One takes another number of bands than the first, the same in another order, or has the weights of
            an earlier one.
    """
    first, wanted = names[0], packages[0]
    hashes: dict[str, str] = {}
    for name, package in zip(names, packages, strict=True):
        if package.weights_sha256 in hashes:
            raise PackageError(
                f"{name}: has the same weights as {hashes[package.weights_sha256]}; name each model once"
            )
        hashes[package.weights_sha256] = name
        if len(package.bands) != len(wanted.bands):
            raise PackageError(
                f"{name}: takes {_bands(package)}, but {first} takes {_bands(wanted)}; "
                "models that are averaged get the same bands"
            )
        if package.band_names != wanted.band_names and sorted(package.band_names) == sorted(wanted.band_names):
            raise PackageError(
                f"{name}: takes its bands in the order {', '.join(package.band_names)}, but {first} in the order "
                f"{', '.join(wanted.band_names)}; models that are averaged get the same bands in one order"
            )


def decision_threshold(packages: Sequence[ModelPackage]) -> float:
    """Probability above which a pixel is cropland where none is asked for: the mean of the models' own."""
    return sum(package.threshold for package in packages) / len(packages)


def common_nodata(members: Sequence[Member]) -> float | None:
    """The further value that meant "no data" in training; None where there is none.

    A model without such a value was trained on files that declare theirs, and agrees with any.

    Raises:
        ConfigError: Models name different values.
    """
    named = {member.package.nodata: member.name for member in reversed(members) if member.package.nodata is not None}
    if len(named) > 1:
        found = ", ".join(f"{value:g} ({name})" for value, name in named.items() if value is not None)
        raise ConfigError(f"the models mean no data by different values, {found}; say which with --nodata")
    return next(iter(named), None)


def _bands(package: ModelPackage) -> str:
    names = ", ".join(name for name in package.band_names if name)
    return counted(len(package.bands), "band") + (f" ({names})" if names else "")
