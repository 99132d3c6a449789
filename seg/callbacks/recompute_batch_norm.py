"""Take BatchNorm's statistics anew over the training split when the weights are final."""

from collections.abc import Iterable

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class RecomputeBatchNorm(L.Callback):
    """Before the last validation, replace running statistics by those of the whole training split.

    Running statistics lag behind the weights and depend most on the last few scenes. These are the means over every
    batch of one pass, which costs about a third of an epoch. The last validation and the last checkpoint have them, so
    validation must run at the end of the last epoch. Beside a callback that averages weights, list this one after it:
    then the statistics are those of the averaged weights.

    Example:
        Trainer(callbacks=[EMAWeightAveraging(decay=0.98), RecomputeBatchNorm()])
    """

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Recompute them if this is a validation of the last epoch."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or not _is_last(trainer):
            return
        datamodule = getattr(trainer, "datamodule", None)
        # A loader of its own: that of training keeps the place where it is.
        loader = datamodule.train_dataloader() if datamodule else trainer.train_dataloader
        images = (batch["image"].to(pl_module.device) for batch in loader or ())
        recompute(pl_module, images)


@torch.no_grad()
def recompute(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Give every BatchNorm of a network the mean statistics of some images; all else stays in its mode, dropout too.

    Args:
        network: In evaluation mode.
        images: (B, C, H, W) each.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
        norm.train()
    for image in images:
        network(image)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _is_last(trainer: L.Trainer) -> bool:
    epochs, steps = trainer.max_epochs or -1, trainer.max_steps
    last_epoch = 0 < epochs <= trainer.current_epoch + 1
    return trainer.should_stop or last_epoch or 0 < steps <= trainer.global_step
