"""What of a tower is trained, how fast each part of it, and at what price.

Legend: b pictures, h x w pixels.

Nothing here goes by a table of names: blocks are found by what they are, depth by the order in
which gradients arrive. So it holds for towers of open_clip, timm and transformers alike.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from syntype.configs import TrainConfig
from syntype.errors import TrainingError
from syntype.provenance import named_seed


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """The repeated blocks of a tower, from input to output; empty if it has none.

    They are those of a transformer, or of all stages of a staged network: a block is a member of a
    list whose members are all of one composite type, and has no such list inside.
    """
    lists = [
        list(part)
        for part in module.modules()
        if isinstance(part, nn.ModuleList | nn.Sequential) and _is_list_of_blocks(part)
    ]
    return [
        block
        for members in lists
        for block in members
        if not any(inner[0] is part for inner in lists for part in list(block.modules())[1:])
    ]


def _is_list_of_blocks(part: nn.ModuleList | nn.Sequential) -> bool:
    kinds = {type(member) for member in part}
    if len(kinds) != 1 or kinds & {nn.Sequential, nn.ModuleList}:
        return False
    return all(any(True for _ in member.children()) for member in part)


def _blocks_or_refuse(module: nn.Module, what: str) -> list[nn.Module]:
    blocks = blocks_of(module)
    if not blocks:
        raise TrainingError(
            f"{what} works on the repeated blocks of a tower, and this one has none. Leave it out: "
            "--train.tune all trains every weight."
        )
    return blocks


def choose_weights(
    module: nn.Module, example: Float[Tensor, "b 3 h w"], config: TrainConfig
) -> None:
    """Say which weights are trained (`config.tune`), by their `requires_grad`.

    Weights that the author froze stay frozen, unless all of them are.

    Args:
        module: A tower; changed in place. With LoRA (Hu et al. 2022) its linear layers carry
            low-rank additions, which are zero at first, so that its vectors are those it had.
        example: A batch of pictures, for one backward pass.
        config: `tune`, `last_blocks`, `lora_rank`, `seed`.

    Raises:
        TrainingError: The tower has no blocks, or none that LoRA knows.
    """
    if not any(weight.requires_grad for weight in module.parameters()):
        module.requires_grad_(True)
    if config.tune == "last":
        n_blocks = len(_blocks_or_refuse(module, "--train.tune last"))
        for weight, depth in depths(module, example).items():
            # Embeddings lie as deep as the lowest block; with that block they are trained too.
            weight.requires_grad_(depth <= min(config.last_blocks, n_blocks))
    elif config.tune == "lora":
        _add_low_rank(module, config)


def _add_low_rank(module: nn.Module, config: TrainConfig) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    blocks = {id(block) for block in _blocks_or_refuse(module, "--train.tune lora")}
    names: list[str] = []
    for block_name, block in module.named_modules():
        if id(block) not in blocks:
            continue
        attentions = [
            name for name, part in block.named_modules() if isinstance(part, nn.MultiheadAttention)
        ]
        for name, part in block.named_modules():
            inside = any(name.startswith(f"{one}.") for one in attentions)
            if name in attentions or (isinstance(part, nn.Linear) and not inside):
                names.append(f"{block_name}.{name}")
    if not names:
        raise TrainingError(
            "--train.tune lora adds to linear layers, and the blocks of this tower have none. Use "
            "--train.tune last or all."
        )
    module.requires_grad_(False)
    rank = config.lora_rank
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(config.seed, "low-rank additions"))
        device = next(module.parameters()).device
        module.cpu()
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=names), module)
        module.to(device)


def merged(module: nn.Module) -> nn.Module:
    """The module with its low-rank additions added to its own weights, under its own names.

    Args:
        module: Changed in place, if it has any.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    found = [(n, part) for n, part in module.named_modules() if isinstance(part, BaseTunerLayer)]
    for name, part in found:
        if any(name.startswith(f"{outer}.") for outer, _ in found):
            continue  # the output of an attention, which its attention merges
        part.merge()
        base = part.get_base_layer()
        for inner, layer in list(base.named_children()):
            if isinstance(layer, BaseTunerLayer):
                setattr(base, inner, layer.get_base_layer())
        _as_parameters(base)
        parent, _, own = name.rpartition(".")
        setattr(module.get_submodule(parent), own, base)
    return module


def _as_parameters(module: nn.Module) -> None:
    """Make weights of what peft left as plain tensors of a merged attention."""
    for part in module.modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, Tensor):
                delattr(part, name)
                part.register_parameter(name, nn.Parameter(value, requires_grad=False))


def depths(module: nn.Module, example: Float[Tensor, "b 3 h w"]) -> dict[nn.Parameter, int]:
    """How deep below the vectors each trained weight lies, in blocks.

    That is the number of blocks that its gradient passes, its own included: 0 above the last one.
    Weights without a gradient count as the lowest.
    """
    blocks, found, passed = blocks_of(module), dict[nn.Parameter, int](), set[int]()

    def watch(place: int, _: nn.Module, __: Any, output: Any) -> None:
        tensor = output if isinstance(output, Tensor) else output[0]
        tensor.register_hook(lambda gradient: passed.add(place))

    def arrived(weight: nn.Parameter, gradient: Tensor) -> None:
        del gradient
        found.setdefault(weight, len(passed))

    trained = [weight for weight in module.parameters() if weight.requires_grad]
    handles = [
        block.register_forward_hook(partial(watch, place)) for place, block in enumerate(blocks)
    ]
    handles += [weight.register_hook(partial(arrived, weight)) for weight in trained]
    training = module.training
    try:
        with torch.enable_grad():
            torch.autograd.backward(module.eval()(example).float().square().sum())
    finally:
        module.train(training).zero_grad(set_to_none=True)
        for handle in handles:
            handle.remove()
    return {weight: found.get(weight, len(blocks)) for weight in trained}


def weight_groups(
    module: nn.Module, example: Float[Tensor, "b 3 h w"] | None, config: TrainConfig
) -> list[dict[str, Any]]:
    """The trained weights in groups for AdamW: `params`, `peak` (learning rate), `weight_decay`.

    Matrices decay; biases, norms and other vectors do not. With `config.layer_decay` below 1 the
    peak falls by that factor from block to block (Clark et al. 2020).

    Args:
        module: A tower.
        example: A batch, for one backward pass; not needed without layer decay.
        config: `lr`, `weight_decay`, `layer_decay`.
    """
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    depth = dict.fromkeys(trained, 0)
    if config.layer_decay < 1:
        assert example is not None, "layer decay wants an example"
        depth = depths(module, example)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for weight in trained:
        key = depth[weight], weight.ndim <= 1
        group = {
            "params": [],
            "peak": config.lr * config.layer_decay ** depth[weight],
            "weight_decay": 0.0 if key[1] else config.weight_decay,
        }
        groups.setdefault(key, group)["params"].append(weight)
    return [groups[key] for key in sorted(groups)]


def save_memory(module: nn.Module) -> None:
    """Compute the activations of each block twice instead of keeping them (Chen et al. 2016).

    Raises:
        TrainingError: The tower has no blocks.
    """
    for block in _blocks_or_refuse(module, "--train.gradient-checkpointing"):
        block.forward = partial(_twice, block.forward)


def _twice(forward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs, **options)
    return checkpoint(forward, *inputs, use_reentrant=False, **options)


def half(device: torch.device, config: TrainConfig) -> torch.dtype | None:
    """What the tower computes in beside float32 (`config.precision`); None for nothing else.

    auto is bfloat16 on CUDA from compute capability 8 on, and on processors with AMX; elsewhere it
    is emulated, and slower than float32.
    """
    if config.precision == "float32":
        return None
    fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    fast = fast or (device.type == "cpu" and torch.cpu._is_amx_tile_supported())
    return torch.bfloat16 if fast or config.precision == "bfloat16" else None


class Average(nn.Module):
    """A moving average of a module's weights (Polyak and Juditsky 1992; Tarvainen 2017, EMA).

    Early steps count for more, min(decay, (1 + t) / (10 + t)), so that the start is forgotten.

    Args:
        module: What is averaged; copied.
        decay: Share of the old average in the new one.
    """

    steps: Tensor

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._names = [name for name, weight in module.named_parameters() if weight.requires_grad]
        for place, weight in enumerate(self._weights(module)):
            self.register_buffer(f"weight_{place}", weight.detach().clone())

    def _weights(self, module: nn.Module) -> list[nn.Parameter]:
        return [module.get_parameter(name) for name in self._names]

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        done = int(self.steps)
        decay = min(self.decay, (1 + done) / (10 + done))
        for place, weight in enumerate(self._weights(module)):
            self.get_buffer(f"weight_{place}").lerp_(weight, 1 - decay)

    @torch.no_grad()
    def swap(self, module: nn.Module) -> None:
        """Exchange the module's weights and their average; twice is as if never."""
        for place, weight in enumerate(self._weights(module)):
            average = self.get_buffer(f"weight_{place}")
            kept = weight.clone()
            weight.copy_(average)
            average.copy_(kept)
