"""A data set of given pictures, and a small encoder that is a fixed function."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import torch
from torch import nn

from syntype.data.dataset import SCHEMA, Dataset
from syntype.data.preprocess import Preprocess
from syntype.encoders.encoder import Encoder
from syntype.provenance import bytes_hash


def picture_set(folder: Path, contents: Mapping[str, bytes]) -> Dataset:
    """Write `contents` (file name to bytes) below `folder`; one row each, in that order."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    rows = [
        dict.fromkeys(SCHEMA.names, "")
        | {
            "id": f"fake/{name}",
            "datasetName": "fake",
            "image": name,
            "imageDigest": bytes_hash(content),
        }
        for name, content in contents.items()
    ]
    return Dataset(pa.Table.from_pylist(rows, schema=SCHEMA), {"fake": folder})


class Mosaic(nn.Module):
    """The picture as 2 x 2 blocks of colour, mixed by a fixed matrix."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        weight = torch.randn(dim, 12, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(weight)

    def forward(self, images):
        return nn.functional.adaptive_avg_pool2d(images, 2).flatten(1) @ self.weight.T + 0.1


def fake_encoder(dim: int = 8, size: int = 32, module: nn.Module | None = None) -> Encoder:
    return Encoder(
        name="fake",
        architecture={"source": "fake", "dim": dim},
        weights="none",
        preprocess=Preprocess(size=size, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        dim=dim,
        module=module or Mosaic(dim),
    )
