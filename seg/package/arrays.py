"""Files of arrays in a model package; the package's description file holds their hashes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from seg.errors import PackageError
from seg.files import claimed, complete_in_claimed_folder, sha256, writing
from seg.package.description import DESCRIPTION, ModelPackage, description_text
from seg.package.read import read_package

Arrays = Mapping[str, npt.NDArray[Any]]


def add_arrays(folder: Path, name: str, arrays: Arrays, hash_field: str) -> ModelPackage:
    """Write a file of arrays to a package, and its hash to the package's description file.

    Args:
        folder: The package.
        name: Name of the file; its format is safetensors.
        arrays: Arrays by name.
        hash_field: Field of `ModelPackage` for the hash.

    Returns:
        The new description of the package.

    Raises:
        PackageError: The package is missing or damaged.
        WriteError: The package cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with writing(folder, SafetensorError), claimed(folder, wait=True):
        package = read_package(folder)
        with complete_in_claimed_folder(folder / name) as unfinished:
            save_file(dict(arrays), unfinished)
            hashed: dict[str, Any] = {hash_field: sha256(unfinished)}
            described = replace(package, **hashed)
        with complete_in_claimed_folder(folder / DESCRIPTION) as unfinished:
            unfinished.write_text(description_text(described), encoding="utf-8")
    return described


def read_arrays(path: Path, expected_sha256: str, remedy: str) -> Arrays:
    """Read a file of arrays from a package.

    Args:
        path: The file.
        expected_sha256: Hash in the package's description file.
        remedy: Advice that ends the message of an error.

    Raises:
        PackageError: The file is missing or damaged, or its hash differs.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if sha256(path) != expected_sha256:
            raise PackageError(f"{path}: is not the file that {path.parent / DESCRIPTION} describes; {remedy}")
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise PackageError(f"{path}: missing or damaged ({error}); {remedy}") from error
