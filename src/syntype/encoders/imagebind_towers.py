"""ImageBind's towers for pictures, texts and sounds; parameters are named as in the released file.

Girdhar et al., "ImageBind: One embedding space to bind them all" (CVPR 2023). Each sense has a stem
that makes tokens, a trunk of blocks with normalisation before attention and before the MLP (GELU,
four times as wide), and a head: layer norm and a projection of one token.

    vision    pictures as films of equal frames, so the kernels of the frames add up; a class token;
              a layer norm before the blocks; the head reads the class token
    text      CLIP's tokens; attention looks back only; the head reads the end of the text, the
              token with the largest number
    audio     a spectrogram in overlapping patches, normalised; a class token; each attention has
              one more key and value, learned, that every token sees; several clips of a sound are
              averaged after each was brought to length 1

What differs from the released model: the last step there multiplies the unit vectors of texts and
sounds by a scale, which leaves cosines as they are; it is `logit_scale` here, and vectors have
length 1. Drop paths, which work in training alone, are left out.

Legend: n inputs, h x w pixels, t tokens, e width of a trunk, d dimensions, c clips, m mel bands, f
frames.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

_EPS = 1e-6  # of all layer norms but that behind the patches of sounds, which has torch's 1e-5


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, *, causal: bool, extra: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.bias_k = nn.Parameter(torch.zeros(1, 1, width)) if extra else None
        self.bias_v = nn.Parameter(torch.zeros(1, 1, width)) if extra else None

    def forward(self, tokens: Float[Tensor, "n t e"]) -> Float[Tensor, "n t e"]:
        found = functional.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        query, key, value = found.chunk(3, dim=-1)
        if self.bias_k is not None and self.bias_v is not None:
            n = len(tokens)
            key = torch.cat([key, self.bias_k.to(key).expand(n, -1, -1)], dim=1)
            value = torch.cat([value, self.bias_v.to(value).expand(n, -1, -1)], dim=1)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Float[Tensor, "n t e"]) -> Float[Tensor, "n t e"]:
        return self.fc2(functional.gelu(self.fc1(tokens)))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, *, causal: bool, extra: bool) -> None:
        super().__init__()
        self.attn = _Attention(width, heads, causal=causal, extra=extra)
        self.norm_1 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = _Mlp(width)
        self.norm_2 = nn.LayerNorm(width, eps=_EPS)

    def forward(self, tokens: Float[Tensor, "n t e"]) -> Float[Tensor, "n t e"]:
        tokens = tokens + self.attn(self.norm_1(tokens))
        return tokens + self.mlp(self.norm_2(tokens))


class _Trunk(nn.Module):
    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        *,
        first_norm: bool = False,
        causal: bool = False,
        extra: bool = False,
    ) -> None:
        super().__init__()
        norms = [nn.LayerNorm(width, eps=_EPS)] if first_norm else []
        self.pre_transformer_layer = nn.Sequential(*norms)
        self.blocks = nn.Sequential(
            *(_Block(width, heads, causal=causal, extra=extra) for _ in range(depth))
        )

    def forward(self, tokens: Float[Tensor, "n t e"]) -> Float[Tensor, "n t e"]:
        return self.blocks(self.pre_transformer_layer(tokens))


class _PictureStem(nn.Module):
    def __init__(self, patch: int, frames: int, width: int) -> None:
        super().__init__()
        kernel = (frames, patch, patch)
        self.proj = nn.ModuleDict({"1": nn.Conv3d(3, width, kernel, stride=kernel, bias=False)})
        self.patch = patch

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n t e"]:
        films: Any = self.proj["1"]
        kernel: Tensor = films.weight.sum(dim=2)  # every frame is the same picture
        return functional.conv2d(images, kernel, stride=self.patch).flatten(2).transpose(1, 2)


class _SoundStem(nn.Module):
    def __init__(self, patch: int, stride: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, patch, stride=stride, bias=False)
        self.norm_layer = nn.LayerNorm(width)

    def forward(self, clips: Float[Tensor, "n m f"]) -> Float[Tensor, "n t e"]:
        return self.norm_layer(self.proj(clips[:, None]).flatten(2).transpose(1, 2))


class _Patches(nn.Module):
    """A class token, then patches, each with its place."""

    def __init__(self, stem: nn.Module, n_patches: int, width: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        places = nn.Parameter(torch.zeros(1, 1 + n_patches, width))
        self.pos_embedding_helper = nn.ParameterDict({"pos_embed": places})
        self.rgbt_stem = stem

    def forward(self, inputs: Tensor) -> Float[Tensor, "n t e"]:
        patches = self.rgbt_stem(inputs)
        first = self.cls_token.to(patches).expand(len(patches), -1, -1)
        return torch.cat([first, patches], dim=1) + self.pos_embedding_helper["pos_embed"]


class _Words(nn.Module):
    def __init__(self, vocabulary: int, context: int, width: int) -> None:
        super().__init__()
        # Embedding's own normal draw takes seconds on the meta device, where keys are checked.
        drawn = nn.init.xavier_uniform_(torch.empty(vocabulary, width))
        self.token_embedding = nn.Embedding.from_pretrained(drawn, freeze=False)
        self.pos_embed = nn.Parameter(torch.zeros(1, context, width))

    def forward(self, tokens: Int[Tensor, "n t"]) -> Float[Tensor, "n t e"]:
        return self.token_embedding(tokens) + self.pos_embed


class _Branch(nn.Module):
    """Stem, trunk and head of one sense, under the names that they have among the others'."""

    def __init__(self, name: str, stem: nn.Module, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.modality_preprocessors = nn.ModuleDict({name: stem})
        self.modality_trunks = nn.ModuleDict({name: trunk})
        self.modality_heads = nn.ModuleDict({name: head})

    def tokens(self, inputs: Tensor) -> Float[Tensor, "n t e"]:
        """What the trunk makes of inputs."""
        found: Tensor = self.modality_preprocessors[self.name](inputs)
        return self.modality_trunks[self.name](found)

    def first(self, inputs: Tensor) -> Float[Tensor, "n d"]:
        """The class token through the head."""
        return self.modality_heads[self.name](self.tokens(inputs)[:, 0])


def _head(width: int, dim: int) -> nn.Sequential:
    # In the released model the class token is chosen between the two, with the same result.
    return nn.Sequential(
        nn.LayerNorm(width, eps=_EPS), nn.Identity(), nn.Linear(width, dim, bias=False)
    )


class PictureTower(_Branch):
    """The branch of pictures.

    Args:
        size: h = w.
        patch: Height and width of a patch, pixels.
        frames: Frames of the films that the stem was made for.
        width: e.
        depth: Number of blocks.
        heads: Number of heads.
        dim: d.
    """

    def __init__(
        self, *, size: int, patch: int, frames: int, width: int, depth: int, heads: int, dim: int
    ) -> None:
        stem = _Patches(_PictureStem(patch, frames, width), (size // patch) ** 2, width)
        trunk = _Trunk(width, depth, heads, first_norm=True)
        super().__init__("vision", stem, trunk, _head(width, dim))

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Vectors of normalised pictures, not yet unit."""
        return self.first(images)


class WordTower(_Branch):
    """The branch of texts.

    Args:
        vocabulary: Number of tokens there are.
        context: t.
        width: e.
        depth: Number of blocks.
        heads: Number of heads.
        dim: d.
    """

    def __init__(
        self, *, vocabulary: int, context: int, width: int, depth: int, heads: int, dim: int
    ) -> None:
        head = nn.Sequential(nn.LayerNorm(width, eps=_EPS), nn.Linear(width, dim, bias=False))
        stem = _Words(vocabulary, context, width)
        trunk = _Trunk(width, depth, heads, causal=True)
        super().__init__("text", stem, trunk, nn.ModuleDict({"proj": head}))

    def forward(self, tokens: Int[Tensor, "n t"]) -> Float[Tensor, "n d"]:
        """Vectors of texts, not yet unit."""
        ends = tokens.argmax(dim=1)
        found = self.tokens(tokens)[torch.arange(len(tokens), device=tokens.device), ends]
        head: Any = self.modality_heads["text"]
        return head["proj"](found)


class SoundTower(_Branch):
    """The branch of sounds.

    Args:
        bands: m.
        frames: f.
        patch: Height and width of a patch, in bands and frames.
        stride: From one patch to the next.
        width: e.
        depth: Number of blocks.
        heads: Number of heads.
        dim: d.
    """

    def __init__(
        self,
        *,
        bands: int,
        frames: int,
        patch: int,
        stride: int,
        width: int,
        depth: int,
        heads: int,
        dim: int,
    ) -> None:
        high, long = ((side - patch) // stride + 1 for side in (bands, frames))
        stem = _Patches(_SoundStem(patch, stride, width), high * long, width)
        trunk = _Trunk(width, depth, heads, extra=True)
        super().__init__("audio", stem, trunk, _head(width, dim))

    def forward(self, clips: Float[Tensor, "n c m f"]) -> Float[Tensor, "n d"]:
        """Mean over the unit vectors of a sound's clips; itself of length 1 only if they agree."""
        vectors = functional.normalize(self.first(clips.flatten(0, 1)), dim=1)
        return vectors.unflatten(0, clips.shape[:2]).mean(dim=1)


_TOWERS: Mapping[str, type[_Branch]] = {
    "vision": PictureTower,
    "text": WordTower,
    "audio": SoundTower,
}


def empty(architecture: Mapping[str, Any]) -> nn.Module:
    """The tower of an architecture, freshly initialised."""
    sizes = {key: value for key, value in architecture.items() if key not in ("source", "branch")}
    return _TOWERS[architecture["branch"]](**sizes)
