"""The state of a training on disk: everything needed to go on after a stop, to the same weights as without one."""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from denoising.training import EMA

__all__ = ["resume_state", "save_state"]


def _pack(net: nn.Module, ema: "EMA | None", optimizer: Any) -> dict[str, Tensor]:
    """Everything that changes during training, under flat names, so that safetensors (and no pickle) can hold it."""
    flat = {f"net.{key}": value for key, value in net.state_dict().items()}
    flat |= {f"ema.{key}": value for key, value in (ema.module.state_dict() if ema else {}).items()}
    for index, moments in optimizer.state_dict()["state"].items():
        flat |= {f"adam.{index}.{key}": value for key, value in moments.items()}
    # cloned, because safetensors refuses tensors that share memory and loses a channels_last layout
    return {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in flat.items()}


def save_state(path: Path, step: int, net: nn.Module, ema: "EMA | None", optimizer: Any, recipe: dict) -> None:
    """Write everything that is needed to go on after `step` steps of `recipe`, whole or not at all."""
    from safetensors.torch import save

    data = save(_pack(net, ema, optimizer), metadata={"step": str(step), "recipe": json.dumps(recipe)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(hashlib.sha256(data).digest() + data)
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, f"state not written ({error.strerror}); free space and resume", str(path)) from None
    finally:
        part.unlink(missing_ok=True)


def resume_state(path: Path, net: nn.Module, ema: "EMA | None", optimizer: Any, recipe: dict) -> int:
    """Load what `save_state` wrote for the same recipe; returns the number of steps done."""
    from safetensors.torch import load

    blob = path.read_bytes()
    data = blob[32:]
    remedy = f"delete {path} to start again"
    if hashlib.sha256(data).digest() != blob[:32]:
        raise ValueError(f"{path}: the training state is damaged ({len(blob)} bytes); {remedy}")
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    if json.loads(header["recipe"]) != recipe:
        raise ValueError(f"{path}: written by another recipe ({header['recipe']}), this one is {recipe}; {remedy}")
    flat = load(data)

    def under(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in flat.items() if key.startswith(prefix)}

    try:
        net.load_state_dict(under("net."))
        if ema:
            ema.module.load_state_dict(under("ema."))
            ema.updates = int(header["step"])
    except RuntimeError as error:
        raise ValueError(f"{path}: of another network ({str(error).splitlines()[-1].strip()}); {remedy}") from None
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in under("adam.").items():
        index, _, name = key.partition(".")
        moments.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(header["step"])
