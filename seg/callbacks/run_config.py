"""The resolved configuration of a training, in its folder."""

from lightning import LightningModule
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer import Trainer


class RunConfig(SaveConfigCallback):
    """Keep the whole configuration of a training in its folder, so that it can be run or judged again.

    Without the checkpoint it went on from: whoever takes the file up again did not ask for that.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file of a training; validation and test leave it alone."""
        if stage == "fit":
            self.config = self.config.clone()
            self.config.pop("ckpt_path", None)
            super().setup(trainer, pl_module, stage)
