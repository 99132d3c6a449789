"""Checks of the trainer's options that Lightning accepts but cannot use, and the length of a finished training."""

from jsonargparse import Namespace

from seg.errors import ConfigError


def check_length(epochs: int | None, steps: int) -> None:
    """Reject a training of zero or unknown length, since the learning-rate schedule needs the total number of steps.

    Raises:
        ConfigError: max_epochs or max_steps is 0, or both are unlimited.
    """
    if epochs == 0 or steps == 0 or (epochs == -1 and steps == -1):
        raise ConfigError(
            f"trainer.max_epochs is {epochs} and trainer.max_steps {steps}; wanted at least 1 epoch, "
            "or max_epochs=-1 with at least 1 step"
        )


def check_intervals(config: Namespace) -> None:
    """Reject intervals of 0 or below, since Lightning divides by them.

    Args:
        config: Arguments of the trainer. `log_every_n_steps` may be 0, which turns logging off.

    Raises:
        ConfigError: An interval is 0 or below.
    """
    for name in ("accumulate_grad_batches", "val_check_interval", "check_val_every_n_epoch", "log_every_n_steps"):
        value = config.get(name)
        least = 0 if name == "log_every_n_steps" else 1  # 0 turns logging off
        if isinstance(value, int | float) and (value <= 0 if isinstance(value, float) else value < least):
            raise ConfigError(f"trainer.{name} is {value}; wanted {'0 or more' if least == 0 else 'above 0'}")


def check_precision(precision: object, device: str) -> None:
    """Reject float16 on a CPU, since Lightning would silently use bfloat16 instead.

    Args:
        precision: The trainer's precision.
        device: Type of the trainer's device, such as "cpu" or "cuda".

    Raises:
        ConfigError: The precision is float16 and the device is a CPU.
    """
    if device == "cpu" and str(precision) in ("16", "16-mixed"):
        raise ConfigError(
            f"trainer.precision is {precision}, which needs a GPU, but this training uses the CPU; set 32 or bf16-mixed"
        )


def finished_message(length: Namespace, path: str | None, trained: tuple[int, int] | None) -> str:
    """Message if a checkpoint has already completed max_epochs or max_steps; otherwise an empty string.

    Args:
        length: Arguments of the trainer.
        path: The checkpoint.
        trained: Completed epochs and steps of the checkpoint; None without a checkpoint.
    """
    if trained is None:
        return ""
    epochs, steps = trained
    if length.max_epochs not in (None, -1) and epochs >= length.max_epochs:
        done, option = f"{epochs} epochs of trainer.max_epochs", "max_epochs"
    elif length.max_steps != -1 and steps >= length.max_steps:
        done, option = f"{steps} steps of trainer.max_steps", "max_steps"
    else:
        return ""
    return f"{path}: has completed all {done}; to train longer, set a larger --trainer.{option}"
