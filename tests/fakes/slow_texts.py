"""A text tower that is a fixed function, and a child process that reads slowly until it is killed.

python slow_texts.py FOLDER
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from fakes.picture_sets import fake_encoder
from syntype.embeddings import texts
from syntype.encoders.encoder import Encoder, unit


class Reader:
    """One fixed random direction for each different text.

    Args:
        seed: Another seed is another tower.
        delay: Seconds for each batch.
        broken: Texts after which it gives NaN.
    """

    def __init__(self, seed: int = 0, delay: float = 0, broken: int | None = None) -> None:
        self.seed, self.delay, self.broken, self.heard = seed, delay, broken, []

    def __call__(self, asked):
        time.sleep(self.delay)
        self.heard += asked
        rows = torch.stack([self._row(text) for text in asked])
        if self.broken is not None and len(self.heard) > self.broken:
            rows[0] = torch.nan
        return unit(rows, "reader")

    def _row(self, text):
        number = int.from_bytes(text.encode(), "big") * 1009 + self.seed
        return torch.randn(8, generator=torch.Generator().manual_seed(number % 2**62))


def reading_encoder(reader: Reader) -> Encoder:
    identity = {"source": "fake", "seed": reader.seed}
    return replace(
        fake_encoder(), encode_texts=reader, logit_scale=10.0, text_identity=lambda: identity
    )


if __name__ == "__main__":
    texts._BLOCK = 32
    words = [f"species number {i}" for i in range(150)]
    texts.text_vectors(reading_encoder(Reader(delay=0.1)), words, Path(sys.argv[1]))
    time.sleep(60)
