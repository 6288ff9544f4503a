"""A trained classifier, changed without touching its weights: a smooth activation, or low-rank adapters (LoRA)."""

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import validate

__all__ = ["LoRAConv2d", "adapter", "expert_index", "fit", "load_adapter", "softplus_swap", "trained", "with_lora"]


def softplus_swap(model: nn.Module, beta: float) -> nn.Module:
    """A copy of `model` with Softplus_beta(z) = log(1 + exp(beta z)) / beta in place of every `nn.ReLU`; same weights.

    Raises:
        ValueError: if the model has no `nn.ReLU` in its module tree; one called as a function cannot be found.
    Source: Ma et al. 2023, arXiv 2310.11311, section 4.2.
    """
    validate.number("beta", beta, lo=0, open_lo=True)
    model = copy.deepcopy(model)
    places = [(parent, name) for parent in model.modules() for name, child in parent.named_children()
              if isinstance(child, nn.ReLU)]  # fmt: skip
    if not places:
        raise ValueError("model: expected at least one nn.ReLU in its module tree, got none; F.relu is not a module")
    for parent, name in places:
        setattr(parent, name, nn.Softplus(beta))
    return model


class LoRAConv2d(nn.Module):
    """A convolution whose frozen weight W is moved by a product of two thin matrices, W + reshape(up down).

    `up` begins as zero, so the layer begins as the convolution it was made from.

    Args:
        conv: a `nn.Conv2d` with a square kernel of side k and one group; its weight is frozen, its bias is trained.
        rank: r; `down` is (r k, in k) and `up` (out k, r k), r k^2 (in + out) numbers together.
        generator: of the start of `down`, normal with variance 1 / (in k).
    Raises:
        ValueError: for a kernel that is not square, or groups.
    Source: Hu et al. 2021, arXiv 2106.09685; its form for convolutions as in Go et al. 2022, arXiv 2212.05973.
    """

    def __init__(self, conv: nn.Conv2d, rank: int, *, generator: torch.Generator):
        super().__init__()
        k = conv.kernel_size[0]
        if conv.kernel_size != (k, k) or conv.groups != 1:
            raise ValueError(f"conv: expected a square kernel and one group, got {conv.kernel_size}, {conv.groups}")
        r = k * validate.count("rank", rank)
        self.conv = copy.deepcopy(conv)
        self.conv.weight.requires_grad_(False)
        if self.conv.bias is not None:
            self.conv.bias.requires_grad_(True)
        start = torch.randn((r, conv.in_channels * k), generator=generator) / math.sqrt(conv.in_channels * k)
        self.down = nn.Parameter(start.to(conv.weight))
        self.up = nn.Parameter(conv.weight.new_zeros(conv.out_channels * k, r))

    def weight(self) -> Tensor:
        """The merged weight, shaped like that of the convolution."""
        return self.conv.weight + (self.up @ self.down).view_as(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """What the convolution with the merged weight gives."""
        conv = self.conv
        return F.conv2d(x, self.weight(), conv.bias, conv.stride, conv.padding, conv.dilation)


def with_lora(model: nn.Module, rank: int, *, generator: torch.Generator) -> nn.Module:
    """A copy of `model`, frozen but for an adapter in every convolution, the biases, and the norms' own parameters.

    It is left in evaluation mode: a batch norm that updates its running averages would drag the frozen part along.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    places = [(parent, name, child) for parent in model.modules() for name, child in parent.named_children()
              if isinstance(child, nn.Conv2d)]  # fmt: skip
    for parent, name, child in places:
        setattr(parent, name, LoRAConv2d(child, rank, generator=generator))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
            module.requires_grad_(True)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.requires_grad_(True)
    return model


def adapter(model: nn.Module) -> dict[str, Tensor]:
    """What of a model `with_lora` can be trained, by name: all that has to be stored of it."""
    return {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}


def trained(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that an optimiser is given: a frozen one would still be moved by weight decay."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def fit(net: nn.Module, draw: Callable[[int], tuple[Tensor, ...]], *, steps: int, lr: float) -> nn.Module:
    """Train what is trainable of `net` by cross entropy, with Adam; returns it, frozen. Norms keep their averages.

    Args:
        net: trained in place.
        draw: the number of a step to its target, labels or probabilities, and to what the network is shown.
        steps: how many; the rate rises for 20 of them and falls to 0 over the second half.
        lr: the peak learning rate.
    Raises:
        ValueError: if the loss is not finite.
    """
    validate.count("steps", steps)
    adam = torch.optim.Adam(trained(net), lr=validate.number("lr", lr, lo=0, open_lo=True))
    for step in range(steps):
        adam.param_groups[0]["lr"] = lr * min(1, (step + 1) / 20, 2 * (1 - step / steps))
        target, *shown = draw(step)
        loss = F.cross_entropy(net(*shown), target)
        if not torch.isfinite(loss):
            raise ValueError(f"loss: expected finite numbers, got {loss.item()} at step {step}; lower lr")
        adam.zero_grad()
        loss.backward()
        adam.step()
    return net.requires_grad_(False)


def load_adapter(model: nn.Module, stored: dict[str, Tensor]) -> nn.Module:
    """Put a stored `adapter` into a model made `with_lora`, in place; returns it, frozen.

    Raises:
        ValueError: if the names or shapes are not those of the model's own adapter.
    """
    mine = adapter(model)
    if {name: value.shape for name, value in mine.items()} != {name: value.shape for name, value in stored.items()}:
        raise ValueError(f"stored: expected the {len(mine)} tensors of this model's adapter, got {len(stored)} others")
    with torch.no_grad():
        for name, value in stored.items():
            mine[name].copy_(value)
    return model.requires_grad_(False)


def expert_index(t: float, n: int) -> int:
    """Which of n experts serves the time t in (0, 1]: expert i the times i / n < t <= (i + 1) / n."""
    t = validate.number("t", t, lo=0, hi=1, open_lo=True)
    return math.ceil(t * validate.count("n", n) - 1e-9) - 1
