"""Random changes of training samples, and mixing of chips; the only room that imports albumentations."""

import os

# Otherwise albumentations asks a server for its latest version when it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
