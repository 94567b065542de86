"""UNICOM's released weights (An et al., ICLR 2023), in a small module of our own.

    unicom:/weights/FP16-ViT-B-32.pt
    unicom:/weights/FP16-ViT-L-14-336px.pt?arch=ViT-L/14@336px

Legend: n pictures, p patches, w width of the tower, d dimensions.

A vision transformer that differs from CLIP's: no class token and no normalisation before the
blocks, attention without qkv biases, ReLU6 in the MLP, and the flattened output of all patches
through a linear layer, batch norm, linear layer, batch norm. So the input size is fixed. The
files hold float16; everything here is float32, where the authors ran the blocks in float16.
Depth, width and sizes are read off the shapes; heads are 64 wide in all four published models.
"""

from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from syntype.data.preprocess import Preprocess
from syntype.encoders.encoder import Encoder
from syntype.encoders.spec import EncoderPlan, Spec, check_options, close_matches
from syntype.encoders.weights import pour, read_shapes, read_state, sealed_encoder
from syntype.errors import UnknownEncoderError, WeightsError

_HEAD_WIDTH = 64
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


def _architecture(size: int, patch: int, width: int, depth: int, dim: int) -> dict[str, Any]:
    sizes = {"size": size, "patch": patch, "width": width, "depth": depth, "dim": dim}
    return {"source": "unicom", **sizes}


PUBLISHED = {
    "ViT-B/32": _architecture(224, 32, 768, 12, 512),
    "ViT-B/16": _architecture(224, 16, 768, 12, 768),
    "ViT-L/14": _architecture(224, 14, 1024, 24, 768),
    "ViT-L/14@336px": _architecture(336, 14, 1024, 24, 768),
}


class _PatchEmbed(nn.Module):
    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch, stride=patch)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n p w"]:
        return self.proj(images).flatten(2).transpose(1, 2)


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.n_heads = max(1, width // _HEAD_WIDTH)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "n p w"]) -> Float[Tensor, "n p w"]:
        n, p, width = tokens.shape
        heads = self.qkv(tokens).view(n, p, 3, self.n_heads, width // self.n_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(n, p, width))


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Float[Tensor, "n p w"]) -> Float[Tensor, "n p w"]:
        return self.fc2(functional.relu6(self.fc1(tokens)))


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = _Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width)

    def forward(self, tokens: Float[Tensor, "n p w"]) -> Float[Tensor, "n p w"]:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class UnicomTower(nn.Module):
    """UNICOM's image tower; its parameters are named as in the released files.

    Args:
        size: Height and width of the input, pixels.
        patch: Height and width of a patch, pixels.
        width: w.
        depth: Number of blocks.
        dim: d.
    """

    def __init__(self, *, size: int, patch: int, width: int, depth: int, dim: int) -> None:
        super().__init__()
        n_patches = (size // patch) ** 2
        self.patch_embed = _PatchEmbed(patch, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, n_patches, width))
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.feature = nn.Sequential(
            nn.Linear(n_patches * width, width, bias=False),
            nn.BatchNorm1d(width, eps=2e-5),
            nn.Linear(width, dim, bias=False),
            nn.BatchNorm1d(dim, eps=2e-5),
        )

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Vectors of normalised pictures, not yet unit."""
        tokens = self.blocks(self.patch_embed(images) + self.pos_embed)
        return self.feature(self.norm(tokens).flatten(1))


def empty(architecture: Mapping[str, Any]) -> nn.Module:
    """The tower of an architecture, freshly initialised."""
    sizes = {name: value for name, value in architecture.items() if name != "source"}
    return UnicomTower(**sizes)


def infer_architecture(shapes: Mapping[str, tuple[int, ...]], origin: str) -> dict[str, Any]:
    """The architecture that a state dict's shapes imply.

    Raises:
        WeightsError: Keys that tell it are missing, or contradict each other.
    """
    try:
        width, _, patch, _ = shapes["patch_embed.proj.weight"]
        n_patches = shapes["pos_embed"][1]
        dim = shapes["feature.2.weight"][0]
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{origin} is not a UNICOM model: {error} is missing or of another form. Its keys "
            "begin with patch_embed, pos_embed, blocks, norm and feature."
        ) from error
    blocks = {int(name.split(".")[1]) for name in shapes if name.startswith("blocks.")}
    depth, side = max(blocks, default=-1) + 1, isqrt(n_patches)
    if side * side != n_patches:
        raise WeightsError(f"{origin} has {n_patches} patches, which is no square.")
    return _architecture(side * patch, patch, width, depth, dim)


def _checked(spec: Spec) -> Path:
    check_options(spec, ("arch",))
    arch = spec.options.get("arch")
    if arch is not None and arch not in PUBLISHED:
        raise UnknownEncoderError(
            f"UNICOM has no architecture {arch!r}.{close_matches(arch, PUBLISHED)} It has "
            f"{', '.join(PUBLISHED)}."
        )
    return Path(spec.name).expanduser()


def _known(spec: Spec, path: Path) -> dict[str, Any]:
    """The architecture in the file, which must be the one asked for, if one is.

    Raises:
        WeightsError: They differ, or the file is no UNICOM model.
    """
    found = infer_architecture(read_shapes(path), str(path))
    arch = spec.options.get("arch")
    if arch is not None and PUBLISHED[arch] != found:
        match = [name for name, known in PUBLISHED.items() if known == found]
        raise WeightsError(
            f"{path} does not hold {arch}, but {match[0] if match else found}. Correct ?arch= or "
            "leave it out."
        )
    return found


def load(spec: Spec, device: torch.device) -> Encoder:
    """A released UNICOM model.

    Raises:
        UnknownEncoderError: `arch` is not one of the published.
        WeightsError: The file is absent, damaged, or fits only in part.
    """
    path = _checked(spec)
    architecture = _known(spec, path)
    module = empty(architecture)
    pour(module, read_state(path), str(spec))
    preprocess = Preprocess(size=architecture["size"], mean=_MEAN, std=_STD)
    return sealed_encoder(str(spec), architecture, module, preprocess, device)


def plan(spec: Spec) -> EncoderPlan:
    """What `load` would do."""
    path = _checked(spec)
    here = path.is_file()
    known = _known(spec, path) if here else PUBLISHED.get(spec.options.get("arch", ""), {})
    return EncoderPlan(
        name=str(spec),
        source=spec.source,
        weights="local" if here else "missing",
        where=str(path),
        size=known.get("size"),
        dim=known.get("dim"),
    )
