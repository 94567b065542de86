"""Embed a fake data set slowly in child processes that are killed at random moments.

    python slow_embed.py STORE PICTURES SEED KILLS

Forks one child at a time (nothing has started a thread pool before, so forking is safe), kills it
with SIGKILL, and prints one line of JSON: how many children were killed while at work, and the
modification times of the shards after each kill, by which a test sees what was kept.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from fakes.picture_sets import Mosaic, fake_encoder, picture_set
from fakes.ugly_pictures import jpeg
from syntype.configs import EmbedConfig
from syntype.embeddings.embed import embed

CONFIG = EmbedConfig(batch_size=3, shard_rows=7, dtype="float16")


class Slow(Mosaic):
    def forward(self, images):
        time.sleep(0.02)
        return super().forward(images)


def contents() -> dict[str, bytes]:
    pictures = {f"{i:02d}.jpg": jpeg(40, 30, seed=i) for i in range(61)}
    return pictures | {"20.jpg": b"", "44.jpg": pictures["44.jpg"][:300]}


def main(store: Path, pictures: Path, seed: int, kills: int) -> None:
    torch.set_num_threads(1)
    dataset = picture_set(pictures, contents())
    rng = random.Random(seed)
    killed, histories = 0, []
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            embed(dataset, fake_encoder(module=Slow(8)), CONFIG, store, workers=2)
            os._exit(0)
        time.sleep(rng.uniform(0.1, 0.35))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        histories.append({p.name: p.stat().st_mtime_ns for p in store.glob("[0-9]*.npy")})
    print(json.dumps({"killed": killed, "histories": histories}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
