"""Examples that contain their index; spawned workers can import this module."""

import torch
from torch.utils.data import Dataset

from seg.data.sample import Example, SampleKey


class NumberedExamples(Dataset[Example]):
    """Examples of 2 bands and 3x5 pixels; all pixels and labels are the index of the example."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: SampleKey) -> Example:
        mask = torch.full((3, 5), key.index, dtype=torch.uint8)
        return {"image": torch.full((2, 3, 5), float(key.index)), "mask": mask, "name": f"scene_{key.index}.tif"}
