"""Training: tasks, warm-ups, safeguards, checkpoints, the run's records and pictures, and the command line."""

import sys

if "wandb" not in sys.modules:
    # timm imports wandb if it is installed, which takes three seconds, and does without it otherwise.
    sys.modules["wandb"] = None  # type: ignore[assignment]
    try:
        import timm  # noqa: F401
    finally:
        del sys.modules["wandb"]
