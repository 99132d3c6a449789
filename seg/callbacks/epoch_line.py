"""Progress of training for log files."""

import lightning as L


class EpochLine(L.Callback):
    """Print one line after each epoch with a validation: for logs, where a progress bar would only leave noise."""

    def __init__(self) -> None:
        self._validated = False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget the validation before this epoch."""
        self._validated = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note that there are scores of this epoch."""
        self._validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print epoch, losses and scores; earlier, the training loss would still be the epoch's before."""
        if not (self._validated and trainer.is_global_zero):
            return
        metrics = trainer.callback_metrics
        shown = [f"{name} {float(metrics[name]):.4f}" for name in sorted(metrics) if not name.endswith("_step")]
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {'  '.join(shown)}", flush=True)
