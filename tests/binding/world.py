"""Observations of six species, each with a colour, a region, a climate, a tone and a landscape."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import normalize

from syntype.data.observations import SCHEMA, Observations
from syntype.data.preprocess import Preprocess
from syntype.encoders.encoder import Encoder
from syntype.encoders.weights import weights_hash
from syntype.taxonomy.taxon import RANKS

SPECIES = (
    "Anas crecca",
    "Parus major",
    "Salmo salar",
    "Danaus plexippus",
    "Rana arvalis",
    "Lynx lynx",
)
SIZE, DIM = 8, 12
COLOURS = np.array([[220, 30, 30], [30, 220, 30], [30, 30, 220], [200, 200, 20], [20, 200, 200],
                    [200, 20, 200]])  # fmt: skip


def observations(folder: Path, per_species=10, missing=False, media=("image",), seed=0):
    """Observations of all species; with `missing`, every third row lacks one sense or another."""
    source = np.random.default_rng(seed)
    centres = source.normal(size=(len(SPECIES), 20)) * 1.5
    rows = []
    for number in range(per_species * len(SPECIES)):
        kind, copy = number % len(SPECIES), number // len(SPECIES)
        names = {"kingdom": "Animalia", "genus": SPECIES[kind].split()[0], "species": SPECIES[kind]}
        row = dict.fromkeys(SCHEMA.names, "") | {
            "id": f"set/{number:04d}",
            "datasetName": "set",
            "unit": f"set/{number:04d}",
            "split": ("train", "train", "train", "val", "test")[copy % 5],
            "verbatimIdentification": SPECIES[kind],
            "scientificName": SPECIES[kind],
            **{rank: names.get(rank, "") for rank in RANKS},
            "decimalLatitude": float(-60 + 24 * kind + source.normal() * 2),
            "decimalLongitude": float(-150 + 50 * kind + source.normal() * 2),
            "climate": (centres[kind] + 0.3 * source.normal(size=20)).astype(np.float32),
        }
        for sense in media:
            content = _write(folder, sense, number, kind, source)
            row[sense] = content.name
            row[f"{sense}Digest"] = hashlib.sha256(content.read_bytes()).hexdigest()
        if missing and number % 3 == 1:
            row["climate"] = None
        if missing and number % 3 == 2:
            row["decimalLatitude"] = row["decimalLongitude"] = None
        rows.append(row)
    return Observations(pa.Table.from_pylist(rows, schema=SCHEMA), {"set": folder})


def _write(folder, sense, number, kind, source):
    folder.mkdir(parents=True, exist_ok=True)
    if sense == "sound":
        path = folder / f"{number}.wav"
        seconds = np.arange(4800) / 16000
        wave = 0.3 * np.sin(2 * np.pi * 300 * (kind + 1) * seconds)
        soundfile.write(path, wave + 0.01 * source.normal(size=4800), 16000)
        return path
    path = folder / f"{sense}-{number}.png"
    colour = COLOURS[kind] if sense == "image" else COLOURS[(kind + 2) % len(COLOURS)]
    pixels = colour + source.integers(-20, 20, (SIZE, SIZE, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def table(folder: Path, **options) -> Path:
    """The observations as a Parquet table that `read_observations` takes."""
    found = observations(folder, **options)
    pq.write_table(found.table, folder / "observations.parquet")
    return folder / "observations.parquet"


class Flat(nn.Module):
    """Colours of small pictures to vectors, through one hidden layer."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.inner = nn.Linear(3, 32)
            self.outer = nn.Linear(32, DIM)

    def forward(self, images):
        return self.outer(torch.tanh(self.inner(images.mean(dim=(2, 3)))))


def binder(seed=0, texts=True) -> Encoder:
    """A binder whose names lie where the pictures of their species do, nearly."""
    module = Flat(seed).eval()
    preprocess = Preprocess(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    blank = torch.from_numpy(COLOURS).float().view(-1, 3, 1, 1) / 255
    with torch.inference_mode():
        pure = normalize(module((blank.expand(-1, 3, SIZE, SIZE) - 0.5) / 0.5), dim=1)
    noise = torch.randn(pure.shape, generator=torch.Generator().manual_seed(9))
    words = normalize(pure + 0.25 * noise, dim=1)

    def encode(given):
        kinds = [next(k for k, name in enumerate(SPECIES) if name in text) for text in given]
        return words[kinds].clone()

    return Encoder(
        name=f"flat:{seed}",
        architecture={"source": "flat"},
        weights=weights_hash(module.state_dict()),
        preprocess=preprocess,
        dim=DIM,
        module=module,
        encode_texts=encode if texts else None,
        logit_scale=10.0 if texts else None,
        text_identity=(lambda: {"words": seed}) if texts else None,
    )
