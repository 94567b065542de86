"""Small files in ImageBind's published layout, and its towers written out in NumPy, float64."""

from pathlib import Path

import numpy as np
import torch
from scipy.special import erf

# Heads are 80 wide for pictures and 64 for the others, so these have two each.
SMALL = {
    "vision": {"size": 28, "width": 160, "depth": 2, "dim": 24},
    "text": {"vocabulary": 49408, "context": 77, "width": 128, "depth": 2, "dim": 24},
    "audio": {"width": 128, "depth": 2, "dim": 24},
}
HUGE = {
    "vision": {"size": 224, "width": 1280, "depth": 32, "dim": 1024},
    "text": {"vocabulary": 49408, "context": 77, "width": 1024, "depth": 24, "dim": 1024},
    "audio": {"width": 768, "depth": 12, "dim": 1024},
}
HEAD_WIDTH = {"vision": 80, "text": 64, "audio": 64}
# A few keys of each branch that is passed over.
OTHERS = {
    "modality_preprocessors.depth.cls_token": (1, 1, 384),
    "modality_preprocessors.depth.depth_stem.proj.weight": (384, 1, 16, 16),
    "modality_preprocessors.thermal.rgbt_stem.norm_layer.weight": (768,),
    "modality_preprocessors.imu.imu_stem.proj.weight": (512, 48),
    "modality_trunks.imu.blocks.0.attn.bias_k": (1, 1, 512),
    "modality_heads.imu.3.weight": (1024, 512),
    "modality_postprocessors.depth.1.log_logit_scale": (),
}


def shapes(branch, *, width, depth, dim, size=0, vocabulary=0, context=0):
    """The published keys of a branch, by the paper's sizes."""
    stem, trunk, head = (
        f"modality_{part}.{branch}." for part in ("preprocessors", "trunks", "heads")
    )
    found = {}
    if branch == "vision":
        found[stem + "cls_token"] = (1, 1, width)
        found[stem + "rgbt_stem.proj.1.weight"] = (width, 3, 2, 14, 14)
        found[stem + "pos_embedding_helper.pos_embed"] = (1, 1 + (size // 14) ** 2, width)
        found[trunk + "pre_transformer_layer.0.weight"] = (width,)
        found[trunk + "pre_transformer_layer.0.bias"] = (width,)
    elif branch == "text":
        found[stem + "token_embedding.weight"] = (vocabulary, width)
        found[stem + "pos_embed"] = (1, context, width)
        found[stem + "mask"] = (context, context)
    else:
        found[stem + "cls_token"] = (1, 1, width)
        found[stem + "rgbt_stem.proj.weight"] = (width, 1, 16, 16)
        found[stem + "rgbt_stem.norm_layer.weight"] = (width,)
        found[stem + "rgbt_stem.norm_layer.bias"] = (width,)
        found[stem + "pos_embedding_helper.pos_embed"] = (1, 1 + 12 * 19, width)
    for block in range(depth):
        parts = {
            "attn.in_proj_weight": (3 * width, width),
            "attn.in_proj_bias": (3 * width,),
            "attn.out_proj.weight": (width, width),
            "attn.out_proj.bias": (width,),
            "norm_1.weight": (width,),
            "norm_1.bias": (width,),
            "mlp.fc1.weight": (4 * width, width),
            "mlp.fc1.bias": (4 * width,),
            "mlp.fc2.weight": (width, 4 * width),
            "mlp.fc2.bias": (width,),
            "norm_2.weight": (width,),
            "norm_2.bias": (width,),
        }
        if branch == "audio":
            parts |= {"attn.bias_k": (1, 1, width), "attn.bias_v": (1, 1, width)}
        found |= {f"{trunk}blocks.{block}.{name}": shape for name, shape in parts.items()}
    norm, projection = ("proj.0", "proj.1") if branch == "text" else ("0", "2")
    found[f"{head}{norm}.weight"] = found[f"{head}{norm}.bias"] = (width,)
    found[f"{head}{projection}.weight"] = (dim, width)
    if branch != "vision":
        found[f"modality_postprocessors.{branch}.1.log_logit_scale"] = ()
    return found


def state(branch, seed=0, scale=None, **changed):
    """Random tensors of a small branch; the scale is that of the published model."""
    source = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes(branch, **(SMALL[branch] | changed)).items():
        values = torch.randn(shape, generator=source) * 0.15
        if "norm" in name and name.endswith("weight"):
            values = 1 + values
        if name.endswith("mask"):
            values = torch.full(shape, -torch.inf).triu(1)
        if name.endswith("log_logit_scale"):
            values = torch.tensor(scale or {"text": 1 / 0.07, "audio": 20.0}[branch]).log()
        found[name] = values
    return found


def others():
    """Tensors of the branches that are passed over."""
    return {name: torch.ones(shape) for name, shape in OTHERS.items()}


def write_imagebind(path: Path, seed=0, branches=("vision", "text", "audio"), beside=True):
    """A file as imagebind_huge.pth, with small towers; gives its tensors."""
    found = {}
    for branch in branches:
        found |= state(branch, seed)
    if beside:
        found |= others()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(found, path)
    return found


class Naive:
    """A branch, one input at a time, as the paper describes it."""

    def __init__(self, tensors, branch):
        self.w = {name: np.asarray(one, dtype=np.float64) for name, one in tensors.items()}
        self.branch = branch
        self.stem, self.trunk, self.head = (
            f"modality_{part}.{branch}." for part in ("preprocessors", "trunks", "heads")
        )

    def norm(self, x, name, eps=1e-6):
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
        return scaled * self.w[name + ".weight"] + self.w[name + ".bias"]

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def attention(self, x, name):
        packed = x @ self.w[name + "in_proj_weight"].T + self.w[name + "in_proj_bias"]
        query, key, value = np.split(packed, 3, axis=-1)
        if self.branch == "audio":
            key = np.vstack([key, self.w[name + "bias_k"][0]])
            value = np.vstack([value, self.w[name + "bias_v"][0]])
        mixed, wide = np.zeros_like(x), HEAD_WIDTH[self.branch]
        for start in range(0, x.shape[1], wide):
            part = slice(start, start + wide)
            logits = query[:, part] @ key[:, part].T / np.sqrt(wide)
            if self.branch == "text":
                logits += self.w[self.stem + "mask"]
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            mixed[:, part] = weights / weights.sum(axis=1, keepdims=True) @ value[:, part]
        return self.linear(mixed, name + "out_proj")

    def blocks(self, x):
        numbers = {name.split(".")[3] for name in self.w if name.startswith(self.trunk + "blocks.")}
        for number in range(len(numbers)):
            name = f"{self.trunk}blocks.{number}."
            x = x + self.attention(self.norm(x, name + "norm_1"), name + "attn.")
            inner = self.linear(self.norm(x, name + "norm_2"), name + "mlp.fc1")
            x = x + self.linear(inner * (1 + erf(inner / np.sqrt(2))) / 2, name + "mlp.fc2")
        return x

    def with_places(self, patches):
        first = self.w[self.stem + "cls_token"][0]
        return np.vstack([first, patches]) + self.w[self.stem + "pos_embedding_helper.pos_embed"][0]

    def picture(self, pixels):
        """The unit vector of a normalised picture (3, h, w)."""
        film = np.stack([pixels, pixels], axis=1).astype(np.float64)
        kernel = self.w[self.stem + "rgbt_stem.proj.1.weight"]
        side = pixels.shape[1] // 14
        patches = [
            np.tensordot(kernel, film[:, :, 14 * i : 14 * i + 14, 14 * j : 14 * j + 14], 4)
            for i in range(side)
            for j in range(side)
        ]
        x = self.norm(self.with_places(np.array(patches)), self.trunk + "pre_transformer_layer.0")
        x = self.norm(self.blocks(x), self.head + "0")[0] @ self.w[self.head + "2.weight"].T
        return x / np.linalg.norm(x)

    def text(self, tokens):
        """The unit vector of a text's tokens (c,)."""
        x = (
            self.w[self.stem + "token_embedding.weight"][tokens]
            + self.w[self.stem + "pos_embed"][0]
        )
        end = list(tokens).index(max(tokens))
        x = self.norm(self.blocks(x)[end], self.head + "proj.0")
        x = x @ self.w[self.head + "proj.1.weight"].T
        return x / np.linalg.norm(x)

    def sound(self, clips):
        """The unit vector of a sound's spectrograms (c, m, f), by the scaled output."""
        outputs = []
        for clip in clips:
            kernel = self.w[self.stem + "rgbt_stem.proj.weight"][:, 0]
            patches = [
                np.tensordot(kernel, clip[10 * i : 10 * i + 16, 10 * j : 10 * j + 16], 2)
                for i in range(12)
                for j in range(19)
            ]
            x = self.norm(np.array(patches), self.stem + "rgbt_stem.norm_layer", eps=1e-5)
            x = self.norm(self.blocks(self.with_places(x)), self.head + "0")[0]
            x = x @ self.w[self.head + "2.weight"].T
            scale = np.exp(self.w["modality_postprocessors.audio.1.log_logit_scale"])
            outputs.append(min(scale, 100) * x / np.linalg.norm(x))
        mean = np.mean(outputs, axis=0)
        return mean / np.linalg.norm(mean)
