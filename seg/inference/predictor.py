"""The probability of a window, averaged over the views of test-time augmentation."""

import math
from collections import deque

import numpy as np

from seg.inference.augmentation import TestTimeAugmentation, View, views
from seg.inference.backends import Backend, Pending, Probability
from seg.package.description import ModelPackage
from seg.raster.chips import FloatImage
from seg.raster.windows import round_up

WIDEST_CONTEXT = 256
"""Context in pixels for a network that sees the whole of a window: what lies beyond is taken to matter little."""


class Predictor:
    """A model and its test-time augmentation as one function of a window's pixels.

    Args:
        backend: Computes the probability of one image.
        package: The model's description: stride, receptive field, fill values.
        augmentation: Which views are averaged.

    Attributes:
        alignment: Pixels to which windows of a scene must align.
    """

    def __init__(self, backend: Backend, package: ModelPackage, augmentation: TestTimeAugmentation) -> None:
        self.backend = backend
        self.package = package
        self.augmentation = augmentation
        self.alignment = augmentation.alignment(package.stride)

    @property
    def receptive_field(self) -> int:
        """Pixels over which an input can reach a probability, to each side, rounded up to the alignment.

        For a network that sees the whole of a window, the widest context it is given.
        """
        reach = WIDEST_CONTEXT if self.package.receptive_field is None else self.package.receptive_field
        if any(scale != 1 for scale in self.augmentation.scales):
            reach += 2  # resampling itself reaches one or two pixels
        # A view at a scale below 1 sees as much further.
        return round_up(math.ceil(reach / min(1.0, *self.augmentation.scales)), self.alignment)

    def probability(self, image: FloatImage) -> Probability:
        """The (H, W) probability of a (C, H, W) image, 0 to 1."""
        return self.start(image)()

    def start(self, image: FloatImage) -> Pending:
        """Begin with the (H, W) probability of a (C, H, W) image, 0 to 1.

        The image is first filled up to the alignment at the bottom and the right, so that each view meets the model's
        stride at the same scene pixels however the scene was cut.
        """
        height, width = image.shape[1:]
        padded = self.filled_to(image, round_up(height, self.alignment), round_up(width, self.alignment))
        waiting: deque[tuple[View, Pending]] = deque()
        done: list[Probability] = []  # one, the sum of the views that are done

        def collect(most: int) -> None:
            while len(waiting) > most:
                view, pending = waiting.popleft()
                undone = view.undo(pending())
                done[:] = [done[0] + undone] if done else [undone]

        for view in views(self.augmentation):
            waiting.append((view, self.backend.start(view.apply(padded))))
            collect(self.backend.ahead)

        def mean() -> Probability:
            collect(0)
            probability: Probability = done[0][:height, :width] / np.float32(self.augmentation.views)
            return probability

        return mean

    def filled_to(self, image: FloatImage, height: int, width: int) -> FloatImage:
        """The (C, height, width) image with the training mean of each band added at the bottom and the right."""
        if image.shape[1:] == (height, width):
            return image
        filled = np.empty((len(self.package.mean), height, width), dtype=np.float32)
        filled[:] = np.asarray(self.package.mean, dtype=np.float32)[:, None, None]
        filled[:, : image.shape[1], : image.shape[2]] = image
        return filled
