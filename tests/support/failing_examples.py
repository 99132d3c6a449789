"""Examples that make a worker die, hang or read a damaged file; spawned workers can import this module."""

import os
import time

import torch
from torch.utils.data import Dataset

from seg.data.loading.worker_watch import watched
from seg.data.sample import Example, SampleKey
from seg.errors import RasterError


class FailingExamples(Dataset[Example]):
    """Four examples. The third causes a failure: "sleep", "die" or "damage"; "none" for no failure."""

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble

    def __len__(self) -> int:
        return 4

    def __getitem__(self, key: SampleKey) -> Example:
        name = f"scene_{key.index}.tif"
        with watched(name):
            if key.index == 2 and self.trouble == "sleep":
                time.sleep(600)
            if key.index == 2 and self.trouble == "die":
                time.sleep(0.1)  # until the process has sent the earlier batches
                os._exit(9)
            if key.index == 2 and self.trouble == "damage":
                raise RasterError(f"{name}: is damaged; fetch it again")
            return {"image": torch.zeros(1, 2, 2), "mask": torch.zeros(2, 2, dtype=torch.uint8), "name": name}
