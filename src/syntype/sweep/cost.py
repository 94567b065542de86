"""What a stage costs, computed before it runs: floating point operations, bytes, and time.

n pictures, d dimensions, k clusters, e epochs, h hidden width, F operations per picture:

    embed      n F                         one forward pass
    k-means    2 n k d i                   i iterations of one matrix product
    adapter    6 n e (2 d h + d k)         forward and twice that backward, head included
    finetune   3 n e F                     forward and twice that backward
    vectors    n d (2 or 4) bytes

F is counted on the architecture without weights (torch's `meta` device), so no network is needed.
Time is operations over the rate of a matrix product, measured here, times a utilisation: these are
estimates, and are called so where they are shown.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syntype.configs import TrainConfig
from syntype.encoders.load import load_encoder
from syntype.training.footprint import Footprint, footprint
from syntype.training.tuning import choose_weights, save_memory

if TYPE_CHECKING:
    from torch import nn

# Share of the matrix-product rate that whole stages reach; rough, from our own runs (LOG.md).
UTILISATION = 0.4
# Dense bfloat16 matrix product on one NVIDIA H100, FLOP/s, as its data sheet says (no sparsity).
H100_RATE = 989e12

# Sources that load at once and from nowhere, so that the encoder itself can be asked.
_WEIGHTLESS = ("pixels", "descriptors", "untrained")

# Towers behind hub names whose architecture stands in a file that is not here.
_HUB_TOWERS = {
    "hf-hub:imageomics/bioclip": "ViT-B-16",
    "hf-hub:imageomics/bioclip-2": "ViT-L-14",
    "hf-hub:imageomics/bioclip-2.5-vith14": "ViT-H-14",
}


@dataclass(frozen=True)
class Cost:
    """What one stage costs: operations, or None where the architecture is not known here."""

    flops: float | None

    def seconds(self, rate: float) -> float | None:
        """Seconds at `rate` FLOP/s of the machine's matrix product."""
        return None if self.flops is None else self.flops / (rate * UTILISATION)


def machine_rate(side: int = 1024, seconds: float = 0.3) -> float:
    """FLOP/s of a float32 matrix product in torch on the CPU, measured for `seconds`."""
    import torch

    a, b = torch.ones(side, side), torch.ones(side, side)
    _ = a @ b
    start, n = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        _ = a @ b
        n += 1
    return 2 * side**3 * n / (time.perf_counter() - start)


def picture_cost(spec: str) -> tuple[float | None, int | None]:
    """Operations per picture, and dimensions, of the encoder that `spec` names; None if unknown."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    if (found := _architecture(spec)) is None:
        return None, None
    module, size, place = found
    with torch.device(place), torch.no_grad(), FlopCounterMode(display=False) as counter:
        # The counter cannot follow parameters that are themselves inputs (attention pooling).
        vector = module.eval().requires_grad_(False)(torch.zeros(1, 3, size, size))
    if isinstance(vector, tuple):
        vector = vector[0]
    return float(counter.get_total_flops()), int(vector.shape[-1])


def training_memory(
    spec: str, config: TrainConfig, n_classes: int, *, half: bool
) -> Footprint | None:
    """What training the tower needs of a device's memory; None if unknown.

    Args:
        spec: The encoder.
        config: How it is trained.
        n_classes: k.
        half: Whether it computes in 16 bits, as on a GPU.

    Raises:
        TrainingError: Its weights cannot be trained so (`--train.tune`).
    """
    import torch

    if (found := _architecture(spec)) is None or not any(True for _ in found[0].parameters()):
        return None
    module, size, place = found
    with torch.device(place):
        example = torch.zeros(2, 3, size, size)
        choose_weights(module, example, config)
    if config.gradient_checkpointing:
        save_memory(module)
    return footprint(module, size, config, n_classes, half=half)


def _architecture(spec: str) -> "tuple[nn.Module, int, str] | None":
    """The tower, the size of its pictures, and the device that it is on."""
    if spec.partition(":")[0] in _WEIGHTLESS:
        encoder = load_encoder(spec, "cpu")
        return encoder.module, encoder.preprocess.size, "cpu"
    tower = _tower(spec)
    return None if tower is None else (*tower, "meta")


def _tower(spec: str) -> "tuple[nn.Module, int] | None":
    import torch

    source, _, rest = spec.partition(":")
    if source == "open_clip":
        import open_clip
        from open_clip.model import _build_vision_tower

        name = _HUB_TOWERS.get(rest, rest.partition("/")[0].partition("@")[0])
        # open_clip would look for what has a schema (hf-hub:, local-dir:), on the network too.
        config = None if ":" in name else open_clip.get_model_config(name)
        if config is None:
            return None
        with torch.device("meta"):
            tower = _build_vision_tower(config["embed_dim"], config["vision_cfg"])
        return tower, int(config["vision_cfg"].get("image_size", 224))
    if source == "timm":
        import timm

        name = rest.partition("?")[0]
        if not timm.is_model(name):
            return None
        with torch.device("meta"):
            tower = timm.create_model(name, pretrained=False, num_classes=0)
        return tower, int(tower.pretrained_cfg.get("input_size", (3, 224, 224))[-1])
    return None


def kmeans_cost(n: int, dim: int, k: int, iterations: int) -> Cost:
    """Spherical k-means of `n` vectors, every centre looked at."""
    return Cost(2.0 * n * k * dim * iterations)


def training_cost(n: int, dim: int, k: int, config: TrainConfig, per_picture: float | None) -> Cost:
    """One training, adapter or tower."""
    if config.mode == "adapt":
        return Cost(6.0 * n * config.epochs * (2 * dim * config.hidden + dim * k))
    if per_picture is None:
        return Cost(None)
    return Cost(3.0 * n * config.epochs * per_picture)


def duration(seconds: float | None) -> str:
    """Seconds in words: `40 s`, `12 min`, `3.5 h`, `4 days`."""
    if seconds is None:
        return "unknown"
    for size, unit in ((172800, "days"), (5400, "h"), (90, "min")):
        if seconds >= size:
            per = {"days": 86400, "h": 3600, "min": 60}[unit]
            return f"{seconds / per:.1f} {unit}" if unit != "min" else f"{seconds / per:.0f} min"
    return f"{max(seconds, 1):.0f} s"
