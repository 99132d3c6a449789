"""Log the learning rate that steps are really taken with."""

import lightning as L
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from seg.training.run.history import LEARNING_RATE


class LogLearningRate(L.Callback):
    """Log `learning_rate` every `trainer.log_every_n_steps` steps, as the optimiser sees it in the step.

    Warm-ups change the rate around each step only, so that Lightning's own monitor would miss them. The value is the
    highest of all parameter groups; where they differ, `learning_rate/lowest` is logged too.

    Example:
        Trainer(callbacks=[WarmupLearningRate(steps=100), LogLearningRate()])
    """

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hook into each optimiser's step, behind the hooks that change the rate, made when training starts."""
        self._unhook()
        for optimizer in trainer.optimizers:
            self._handles.append(optimizer.register_step_pre_hook(lambda optimizer, *_: _log(trainer, optimizer)))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the optimisers as they were."""
        self._unhook()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave the optimisers as they were."""
        self._unhook()

    def _unhook(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _log(trainer: L.Trainer, optimizer: Optimizer) -> None:
    every: int = getattr(trainer, "log_every_n_steps", 1)  # its classes do not declare it
    if every < 1 or trainer.global_step % every != 0:
        return
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    values = {LEARNING_RATE: max(rates)}
    if min(rates) < max(rates):
        values[f"{LEARNING_RATE}/lowest"] = min(rates)
    for logger in trainer.loggers:
        logger.log_metrics(values, step=trainer.global_step)


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
