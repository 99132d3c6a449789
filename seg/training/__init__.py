"""Training: tasks, warm-ups, safeguards, checkpoints, the run's records and pictures, and the command line."""

import sys

if "wandb" not in sys.modules:
    # wandb is hidden from timm, which needs no wandb, but would spend three seconds on importing an installed one.
    sys.modules["wandb"] = None  # type: ignore[assignment]
    try:
        import timm  # noqa: F401
    finally:
        del sys.modules["wandb"]
