"""Measure the stride and the receptive field of a network whose layers are unknown, by running it on random images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from seg.errors import ConfigError
from seg.models.foreign.rewriting import known_shapes
from seg.models.foreign.running import Floats, Runner, noise

STRIDES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 56, 64, 128)
"""Strides that are tried, in this order."""

LENGTH, BREADTH = 4096, 64
"""Smallest length and breadth in pixels of the images on which the network is run. A long narrow image suffices to
measure distances along its length."""

LIMIT = 1536
"""Largest receptive field in pixels; a larger one counts as unbounded."""

FAR = 512
"""Length in pixels of a second shift that is tried after a shift by the stride. Values that change slowly across the
window, such as coordinates, hardly show in a short shift."""

SAME = 1e-3
"""Largest accepted difference between shifted and unshifted logits, as a share of their standard deviation."""

CHANGES = 3
"""Number of random changes that are tried in measuring the receptive field."""

STRONG = 10.0
"""Size of these changes in standard deviations. A strong change passes the thresholds of more activation layers."""

REMEDY = (
    "maps would depend on the position of the window; wanted a network without global pooling, attention, coordinates "
    "and normalisation over the window"
)
"""End of messages about a network that cannot be mapped in blocks."""


@dataclass(frozen=True)
class Measured:
    """Properties of a network.

    Attributes:
        stride: Shift in pixels under which the network is equivariant. The network accepts images whose sides are
            multiples of the stride.
        receptive_field: Largest distance in pixels at which an input pixel changes a logit, in float32.
        channels: Size of the largest feature map, in values per pixel of the image.
    """

    stride: int
    receptive_field: int
    channels: int


def measure(model: ModelProto, mean: Sequence[float], std: Sequence[float], stride: int | None = None) -> Measured:
    """Measure a network with the standard interface.

    Args:
        model: The network, as `with_standard_interface` returns it.
        mean: Mean of each band, for random images.
        std: Standard deviation of each band.
        stride: The stride if it is known; None to find it.

    Raises:
        ConfigError: The result depends on the position of the window, so a map would depend on the division into
            blocks.
    """
    network = _Strips(Runner(model), mean, std)
    found = next((number for number in STRIDES if network.moves_by(number)), None) if stride is None else stride
    if found is None or (stride is not None and not network.moves_by(stride)):
        tried = f"{stride} pixels" if stride is not None else f"up to {STRIDES[-1]} pixels"
        raise ConfigError(f"its result does not move with the image for a shift of {tried}{network.refusal}; {REMEDY}")
    radius = network.receptive_field(found)
    if radius is None:
        raise ConfigError(
            f"its result depends on pixels more than {LIMIT} pixels away, probably on the whole window; {REMEDY}"
        )
    return Measured(found, radius, widest(model, found))


def widest(model: ModelProto, stride: int) -> int:
    """Size of a network's largest feature map, in values per pixel of the image, rounded up."""
    side = 16 * stride
    sized = ModelProto()
    sized.CopyFrom(model)
    for dim in sized.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = side
    maps = [shape for shape in known_shapes(sized).values() if len(shape) == 4 and min(shape) > 0]
    return max(-(-int(np.prod(shape)) // side**2) for shape in maps)


class _Strips:
    """Logits of a network for long narrow images, horizontal and vertical.

    Attributes:
        refusal: Reason why the network refused the size of the last image, in words; empty if it accepted the size.
    """

    def __init__(self, runner: Runner, mean: Sequence[float], std: Sequence[float]) -> None:
        self._runner = runner
        self._mean, self._std = (np.array(values, np.float32)[:, None, None] for values in (mean, std))
        self.refusal = ""

    def moves_by(self, stride: int) -> bool:
        """True if logits move with the image by a stride, for images whose sides are odd multiples of the stride."""
        breadth, length = (stride * (-(-least // stride) | 1) for least in (BREADTH, LENGTH))
        far = -(-FAR // stride) * stride
        if self._logits(noise(len(self._mean), breadth, breadth), upright=False) is None:
            return False  # Most wrong strides are found here, at little cost.
        for upright in (False, True):
            strip = noise(len(self._mean), breadth, length + far)
            first = self._logits(strip[..., :length], upright)
            if first is None:
                return False
            margin = length // 2 - FAR
            most = SAME * float(first.std()) + 1e-6
            for shift in (stride, far):
                other = self._logits(strip[..., shift : shift + length], upright)
                if other is None:
                    return False
                stays = first[:, margin + shift : length - margin + shift]
                if float(np.abs(stays - other[:, margin : length - margin]).max()) > most:
                    return False
        return True

    def receptive_field(self, stride: int) -> int | None:
        """Largest distance of a logit from a changed column or row, in pixels; None if it is beyond the limit."""
        breadth, length = (stride * -(-least // stride) for least in (BREADTH, LENGTH))
        middle = length // 2 // stride * stride
        columns = np.arange(length)
        distances = np.maximum(np.maximum(middle - columns, columns - (middle + stride - 1)), 0)
        radius = 0
        for before, after in self._changes(breadth, length, slice(middle, middle + stride)):
            changed = (before != after).any(axis=0)
            radius = max(radius, int(distances[changed].max(initial=0)))
        # A logit and a changed pixel may lie at opposite ends of the changed columns.
        return None if radius > LIMIT else radius + stride - 1

    def _changes(self, breadth: int, length: int, columns: slice) -> Iterator[tuple[Floats, Floats]]:
        """Logits before and after random changes of some columns, and of some rows."""
        for upright in (False, True):
            strip = noise(len(self._mean), breadth, length)
            before = self._logits(strip, upright)
            for seed in range(1, CHANGES + 1):
                changed = strip.copy()
                changed[..., columns] = STRONG * noise(len(self._mean), breadth, length, seed)[..., columns]
                after = self._logits(changed, upright)
                if before is None or after is None:
                    raise ConfigError(f"it accepts only some image sizes{self.refusal}; export it for any size")
                yield before, after

    def _logits(self, strip: Floats, upright: bool) -> Floats | None:
        """(breadth, length) logits of a normalised strip; None if the network does not accept its size."""
        image = self._mean + self._std * (strip.swapaxes(2, 3) if upright else strip)
        try:
            logits = self._runner.outputs(np.ascontiguousarray(image))[0]
        except ConfigError as error:
            self.refusal = f" ({error})"
            return None
        if logits.shape != (1, 1, *image.shape[2:]):
            self.refusal = f" (for {image.shape[2]} x {image.shape[3]} pixels, it gives {logits.shape})"
            return None
        self.refusal = ""
        found: Floats = logits[0, 0].T if upright else logits[0, 0]
        return found
