"""Augmentation and mixing of training samples; the only package here that imports albumentations."""

import os

# Without this variable, importing albumentations contacts a server to look for a newer version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
