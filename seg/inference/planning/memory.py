"""Memory limit of a prediction, and expected memory of a block."""

import os
from pathlib import Path

from seg.inference.compute.predictor import Predictor
from seg.package.description import ModelPackage

GIB = 2**30

LEAST = 3 * GIB // 2
"""Smallest default limit of the total memory in bytes, if at least twice as much memory is free."""

SHARE = 4
"""The default limit is the free memory divided by this number. More memory allows larger blocks, which compute fewer
halo pixels."""

PROCESS = GIB // 4
"""Memory in bytes of the libraries, the weights and GDAL's cache; 120 to 250 MB were measured."""

MOST_VALUES = 2**30
"""Largest number of values in a feature map of a block, since libraries count values in 32 bits."""

LEAST_CHANNELS = 16
"""Smallest number of decoder channels to assume, since the encoder takes more memory than a decoder with fewer
channels."""


def allowed_memory(wanted_gib: float | None, predictor: Predictor) -> int:
    """Limit of the total memory of a prediction, in bytes.

    Args:
        wanted_gib: Limit in GiB; None for a quarter of the free memory. If a quarter is less than 1.5 GiB, the limit is
            1.5 GiB, but at most half of the free memory. With a GPU, the free memory is that of the machine or of the
            GPU, whichever is less.
        predictor: Models on their devices.
    """
    if wanted_gib is not None:
        return int(wanted_gib * GIB)
    devices = [member.backend.device_memory for member in predictor.members]
    free = min([size for size in (free_memory(), *devices) if size is not None], default=None)
    return LEAST if free is None else max(free // SHARE, min(LEAST, free // 2))


def free_memory() -> int | None:
    """Free memory in bytes; None if the system does not report it."""
    found = [free for free in (_free_by_kernel(), _free_in_group()) if free is not None]
    return min(found, default=None)


def pixels_within(memory: int, predictor: Predictor) -> int:
    """Number of pixels that a block may read so that a prediction stays within `memory` bytes; at least 0."""
    countable = MOST_VALUES // max(_widest_channels(package) for package in predictor.packages)
    return min(int(max(memory - PROCESS, 0) / bytes_per_pixel(predictor)), countable)


def expected_memory(pixels: int, predictor: Predictor) -> int:
    """Approximate total memory of a prediction in bytes.

    Args:
        pixels: Number of pixels that the largest block reads.
        predictor: Models and augmentation.
    """
    return PROCESS + int(pixels * bytes_per_pixel(predictor))


def bytes_per_pixel(predictor: Predictor) -> float:
    """Memory in bytes per pixel of a block: feature maps at the largest scale, and the pixels themselves.

    The estimate depends only on the package's description, so that a scene is always divided in the same way.
    """
    # Models compute one after the other and reuse the same memory.
    network = max(member.backend.bytes_per_channel * _widest_channels(member.package) for member in predictor.members)
    # Memory holds four blocks: two are read ahead, one is computed, and one is written. If there are several views,
    # memory also holds the running mean of the probabilities and the probability of one view.
    held = 4 * (4 * len(predictor.fill) + 4 + 2 * predictor.uncertainty)
    if predictor.screener is not None:
        held += 4 * (1 + 1 + 1) + 12  # Two maps and a mask of each block, and the bands that are averaged.
    largest = max(1.0, *predictor.augmentation.scales)
    return network * largest**2 * (1 + predictor.ahead) + held


def _widest_channels(package: ModelPackage) -> int:
    if package.network is not None:
        return max(package.network.channels, LEAST_CHANNELS)
    channels = package.architecture.get("arguments", {}).get("decoder_channels") or [LEAST_CHANNELS]
    return max(int(channels[-1]), LEAST_CHANNELS)


def _free_by_kernel() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        pass
    try:
        # Other systems than Linux: half of the installed memory is assumed to be free.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _free_in_group(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Free memory within the limit of a container, in bytes; None if there is no limit."""
    try:
        limit, used = ((folder / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current"))
        return max(int(limit) - int(used), 0)
    except (OSError, ValueError):  # The files do not exist, or the limit is "max".
        return None
