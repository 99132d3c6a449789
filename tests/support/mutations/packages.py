"""Changes to the contents of checkpoints and packages that remain readable files."""

import json
import struct
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from seg.files import sha256
from support.mutations.values import mutate_tree


def say_hashes_again(package: Path) -> None:
    """Write the hashes of damaged files to the description, so that a hash does not reveal the damage."""
    description = package / "model.json"
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
        for key, name in (("weights_sha256", "model.safetensors"), ("onnx_sha256", "model.onnx")):
            if key in content and (package / name).is_file():
                content[key] = sha256(package / name)
        description.write_text(json.dumps(content), encoding="utf-8")
    except (ValueError, TypeError, OSError):
        return


def mutate_weights(path: Path, random: Random) -> str:
    """Change the header of a safetensors file, which lists types, shapes and positions of the tensors."""
    content = path.read_bytes()
    length = struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8 : 8 + length])
    told = mutate_tree(header, random)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return told


def mutate_onnx(path: Path, random: Random) -> str:
    """Change some bytes of an ONNX file."""
    content = bytearray(path.read_bytes())
    for _ in range(random.choice([1, 2, 20])):
        content[random.randrange(len(content))] = random.randrange(256)
    path.write_bytes(content)
    return "bytes changed"


def mutate_checkpoint(path: Path, random: Random) -> str:
    """Change a value or a tensor of a checkpoint."""
    content = torch.load(path, weights_only=True)
    if random.random() < 0.3:
        told = _mutate_tensor(content["state_dict"], random)
    elif random.random() < 0.4:
        # Only values that describe network and data are changed, not the many values of Lightning.
        name = random.choice([name for name in ("hyper_parameters", "CroplandDataModule", "loops") if name in content])
        told = name + mutate_tree(content[name], random)
    else:
        told = mutate_tree(content, random)
    torch.save(content, path)
    return told


def _mutate_tensor(weights: dict[str, Tensor], random: Random) -> str:
    name = random.choice(list(weights))
    tensor = weights[name]
    change = random.choice(["nan", "int", "complex", "flat", "empty", "more", "half", "gone", "sparse"])
    match change:
        case "nan":
            weights[name] = torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else tensor - 10
        case "int":
            weights[name] = tensor.to(torch.int64)
        case "complex":
            weights[name] = tensor.to(torch.complex64)
        case "flat":
            weights[name] = tensor.reshape(-1)[:1]
        case "empty":
            weights[name] = torch.empty(0)
        case "more":
            weights[f"{name}.more"] = tensor
        case "half":
            weights[name] = tensor.to(torch.float16)
        case "gone":
            del weights[name]
        case "sparse":
            weights[name] = tensor.to_sparse()
    return f"{name} {change}"
