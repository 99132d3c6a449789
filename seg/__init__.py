"""Cropland maps from satellite and aerial scenes: train, predict, evaluate.

In a notebook::

    import seg

    model = seg.load_model("models/mine")
    model.map("county.tif", "county_map.tif")
    seg.evaluate("county_map.tif", "county_mask.tif").iou

Names are imported on first use, so that `import seg` is quick.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seg.entry.notebook import Dataset, Model, TestTimeAugmentation, evaluate, load_model, read_dataset

# Libraries read these variables when they are imported. Without them, ONNX Runtime creates a device id and sends
# events, albumentations looks for a newer version, and the clients of Hugging Face and W&B report usage and errors.
# Variables that are already set in the environment are not changed.
for _variable, _value in {
    "ORT_DISABLE_TELEMETRY": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "WANDB_ERROR_REPORTING": "false",
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_variable, _value)

__version__ = "0.1.0"
_MODULES = {"TestTimeAugmentation": "seg.inference.augmentation"}
"""Modules of the names that `seg.entry.notebook` does not define. jsonargparse looks up these classes in this package
when it builds a command line, and the lookup must not import the whole notebook module."""

__all__ = ["Dataset", "Model", "TestTimeAugmentation", "__version__", "evaluate", "load_model", "read_dataset"]


def __getattr__(name: str) -> object:
    """Import a name of `__all__` on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'seg' has no attribute '{name}'")
    value: object = getattr(import_module(_MODULES.get(name, "seg.entry.notebook")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
