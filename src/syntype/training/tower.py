"""The module that is trained, as the processes of a world run it.

Legend: b samples of this process, d dimensions, h x w pixels.

With several processes each holds a copy and gradients are summed while the backward pass still
runs (DDP), or each holds a share of every weight (FSDP2). The gradient at a vector is that of the
loss of the whole batch, so gradients are summed over the processes; both wrappers average, which
the factor of `back` undoes.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import get_total_norm
from torch.optim import AdamW, Optimizer

from syntype.configs import TrainConfig
from syntype.encoders.encoder import Encoder
from syntype.errors import TrainingError
from syntype.training.checkpoint import Stored
from syntype.training.objective import clip
from syntype.training.parallel import SOLO, World
from syntype.training.tuning import (
    blocks_of,
    choose_weights,
    half,
    save_memory,
    weight_groups,
)

# The module's inputs, one tensor or several, of the same samples.
Inputs = tuple[Tensor, ...]


class Tower:
    """A module in a world.

    Args:
        module: Inputs to vectors (b, d), on its device; trained in place.
        groups: Its trained weights as `tuning.weight_groups` gives them.
        world: Who takes part.
        half: What it computes in beside float32, if anything.
        blocks: Its blocks, to be split one by one (FSDP2); None copies the module.
    """

    def __init__(
        self,
        module: nn.Module,
        groups: Sequence[dict[str, Any]],
        world: World = SOLO,
        half: torch.dtype | None = None,
        blocks: Sequence[nn.Module] | None = None,
    ) -> None:
        self.module, self.world, self.half = module, world, half
        self.device = next(module.parameters()).device
        # By name, since FSDP2 puts other tensors in the place of the weights.
        names = {weight: name for name, weight in module.named_parameters()}
        self._groups = [
            {**group, "params": [names[weight] for weight in group["params"]]} for group in groups
        ]
        self._run: nn.Module = module
        self._is_split = world.size > 1 and blocks is not None
        if self._is_split:
            _split(module, blocks or ())
        elif world.size > 1:
            self._run = DistributedDataParallel(module)

    def optimiser(self) -> AdamW:
        """AdamW over the trained weights, without any past."""
        groups = [
            {**group, "params": [self.module.get_parameter(name) for name in group["params"]]}
            for group in self._groups
        ]
        return AdamW(groups, fused=True)

    def vectors(self, inputs: Inputs) -> Float[Tensor, "b d"]:
        """Vectors with gradient; `back` must follow."""
        with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            found: Tensor = self._run(*inputs)
        return found

    @torch.no_grad()
    def glance(self, inputs: Inputs) -> Float[Tensor, "b d"]:
        """Vectors without gradient."""
        with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            found: Tensor = self.module(*inputs)
        return found

    def back(self, vectors: Float[Tensor, "b d"], gradient: Float[Tensor, "b d"]) -> None:
        """Run back from the gradient of the batch's loss at this process's vectors."""
        torch.autograd.backward(vectors, gradient.to(vectors) * self.world.size)

    def alone(self, last: bool) -> AbstractContextManager[None]:
        """While this is entered, gradients are kept and not yet summed, unless it is the `last`."""
        if isinstance(self._run, DistributedDataParallel) and not last:
            return self._run.no_sync()
        if self._is_split:
            cast(Any, self.module).set_requires_gradient_sync(last)
        return nullcontext()

    def clip(self, most: float) -> Float[Tensor, ""]:
        """Clip the gradient to the norm `most` (0: not at all); its norm before that."""
        gradients = [weight.grad for weight in self.trained() if weight.grad is not None]
        norm = _whole(get_total_norm(gradients)).to(self.device)
        clip(gradients, norm, most)
        return norm.float()

    def trained(self) -> Iterator[nn.Parameter]:
        """The weights with gradient."""
        return (weight for weight in self.module.parameters() if weight.requires_grad)

    def state(self, optimiser: Optimizer) -> dict[str, Tensor]:
        """What changes in a training: trained weights, buffers, moments, by unique names.

        All processes must ask; weights that are split are put together.
        """
        found = {f"module.{name}": _whole(value) for name, value in _changing(self.module).items()}
        for index, moments in optimiser.state_dict()["state"].items():
            found |= {f"optimiser.{index}.{name}": _whole(part) for name, part in moments.items()}
        return found

    @torch.no_grad()
    def load(self, stored: Stored, optimiser: Optimizer) -> None:
        """Put back what `state` gave."""
        for name, value in _changing(self.module).items():
            value.copy_(_like(stored.tensor(f"module.{name}"), value))
        groups = optimiser.state_dict()["param_groups"]
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for name in stored.names():
            if name.startswith("optimiser."):
                _, index, moment = name.split(".")
                value = stored.tensor(name)
                if value.ndim > 0:
                    value = _like(value, weights[int(index)])
                moments.setdefault(int(index), {})[moment] = value
        optimiser.load_state_dict({"state": moments, "param_groups": groups})


def _changing(module: nn.Module) -> dict[str, Tensor]:
    frozen = {name for name, weight in module.named_parameters() if not weight.requires_grad}
    return {name: value for name, value in module.state_dict().items() if name not in frozen}


def _split(module: nn.Module, blocks: Sequence[nn.Module]) -> None:
    """Split a module's weights over the processes, block by block."""
    from torch.distributed.fsdp import fully_shard  # more than a second to import

    for block in blocks:
        fully_shard(block)
    fully_shard(module)


def _whole(value: Tensor) -> Tensor:
    """A tensor that may be split over the processes, put together."""
    found: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return found


def _like(value: Tensor, other: Any) -> Tensor:
    """`value` split over the processes as `other` is."""
    if hasattr(other, "full_tensor"):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(value.to(other.device), other.device_mesh, other.placements)
    return value


def trainable(encoder: Encoder, config: TrainConfig) -> nn.Module:
    """A float32 copy of the encoder's module, with gradients where `config.tune` wants them.

    Raises:
        TrainingError: It has no weights, or no blocks to choose from.
    """
    module = copy.deepcopy(encoder.module).float()
    if not any(True for _ in module.parameters()):
        raise TrainingError(
            f"{encoder.name} has no weights to tune. Train an adapter on its vectors instead: "
            "--train.mode adapt."
        )
    choose_weights(module, example_of(encoder), config)
    if config.gradient_checkpointing:
        save_memory(module)
    return module


def example_of(encoder: Encoder) -> Float[Tensor, "2 3 h w"]:
    """Two pictures of noise, as the encoder's module takes them."""
    size = encoder.preprocess.size
    source = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, size, size, generator=source).to(encoder.device)


def tower_of(
    module: nn.Module,
    groups: Sequence[dict[str, Any]],
    inputs: Inputs,
    config: TrainConfig,
    world: World,
) -> Tower:
    """A module that `trainable` gave, in its world.

    Args:
        module: The tower, or a module around it.
        groups: Its trained weights.
        inputs: Of a few samples.
        config: `compile`, `fully_shard`, `precision`.
        world: Who takes part.
    """
    device = inputs[0].device
    # DDP would wait for the gradients of the others, and every world has to train the same ones.
    used = used_weights(module, inputs)
    groups = [
        {**group, "params": [weight for weight in group["params"] if weight in used]}
        for group in groups
    ]
    for weight in module.parameters():
        weight.requires_grad_(weight.requires_grad and weight in used)
    if config.compile:
        module.compile()
    blocks = blocks_of(module) if config.fully_shard else None
    return Tower(module, groups, world, half(device, config), blocks)


def image_tower(encoder: Encoder, config: TrainConfig, world: World) -> Tower:
    """A copy of the encoder's own tower, to be trained."""
    module, example = trainable(encoder, config), example_of(encoder)
    groups = weight_groups(module, example, config)
    return tower_of(module, groups, (example,), config, world)


def used_weights(module: nn.Module, inputs: Inputs) -> set[nn.Parameter]:
    """The weights that the vectors of `inputs` depend on.

    The module runs once in evaluation mode, so no buffer changes and nothing is drawn.
    """
    training = module.training
    module.eval()
    with torch.enable_grad():
        start = module(*inputs).grad_fn
    module.train(training)
    found: set[nn.Parameter] = set()
    seen, stack = set(), [start]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(weight := getattr(node, "variable", None), nn.Parameter):
            found.add(weight)
        stack += [following for following, _ in node.next_functions]
    return found
