"""What Lightning's Trainer would take, or change without a word, but no training here should have."""

from seg.errors import ConfigError

_HALF = ("16", "16-mixed")


def check_length(epochs: int | None, steps: int) -> None:
    """Refuse a training of no length, or of one that nobody knows: the learning rate falls over all of it.

    Raises:
        ConfigError: The trainer's largest number of epochs or of steps cannot work.
    """
    if epochs == 0 or steps == 0 or (epochs == -1 and steps == -1):
        raise ConfigError(
            f"trainer.max_epochs is {epochs} and trainer.max_steps {steps}; wanted at least 1 epoch, "
            "or max_epochs=-1 with at least 1 step"
        )


def check_precision(wanted: object, device: str) -> None:
    """Refuse float16 on a CPU, where Lightning would take bfloat16 instead.

    Args:
        wanted: The trainer's precision.
        device: The type of its device.

    Raises:
        ConfigError: They do not go together.
    """
    if device == "cpu" and str(wanted) in _HALF:
        raise ConfigError(
            f"trainer.precision is {wanted}, which needs a GPU, but training is on a CPU; wanted 32 or bf16-mixed there"
        )
