"""A search server over a synthetic collection, with an encoder of a few numbers: for its tests.

    index, asker = collection(root)               # in memory, with pictures below root
    app = create_app(index, asker, ServeConfig(...))

As a program it serves until it is told to stop, for tests that need a real process:

    python -m fakes.served FOLDER PORT {"upload_seconds": 1}
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from fakes.collection import CARD, SET, clustered_vectors, synthetic_records, write_pictures
from fakes.memory_index import MemoryIndex
from syntype.configs import ServeConfig
from syntype.data.preprocess import Preprocess
from syntype.search.asking import Asker, Senses
from syntype.search.index import Index
from syntype.search.opening import create_index

DIM = 16
SPEC = "open_clip:fake/none"
IDENTITY = {"weights": "fake"}


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class _Pictures:
    """Vectors of pictures: their mean colours on fixed directions."""

    preprocess = Preprocess(size=8)
    identity = IDENTITY

    def encode(self, images: Any) -> np.ndarray:
        directions = np.random.default_rng(5).standard_normal((3, DIM))
        means = np.asarray(images, float).mean(axis=(2, 3)) + 1
        return np.array([_unit(mean @ directions) for mean in means])


def _texts(texts: Any) -> np.ndarray:
    slow = [text for text in texts if text.startswith("slow")]
    if slow:
        time.sleep(1.5)
    if any(text.startswith("crash") for text in texts):
        raise RuntimeError("secret of the inside")
    drawn = [np.random.default_rng(list(text.encode())) for text in texts]
    return np.array([_unit(rng.standard_normal(DIM)) for rng in drawn])


def open_fake(spec: str, device: str) -> Senses:
    """An encoder of pictures and texts."""
    return Senses(spec, _Pictures(), SimpleNamespace(encode_texts=_texts), identities=(IDENTITY,))


def collection(root: Path | None, n: int = 60) -> tuple[MemoryIndex, Asker]:
    """n synthetic records, their pictures below root, and who makes vectors of questions."""
    table = synthetic_records(n)
    roots = {} if root is None else {SET: write_pictures(root, table)}
    index = MemoryIndex(DIM, IDENTITY, spec=SPEC, cards={SET: CARD}, roots=roots)
    index.upsert(table, clustered_vectors(table, DIM))
    return index, Asker(index.card, open_senses=open_fake)


def embedded(folder: Path, root: Path | None, engine: str, n: int = 60) -> tuple[Index, Asker]:
    """The same collection in an index on disk."""
    memory, asker = collection(root, n)
    index = create_index(str(folder), replace(memory.card, engine=engine))
    table = synthetic_records(n)
    index.upsert(table, clustered_vectors(table, DIM))
    return index, asker


def main() -> None:
    """Serve, as `serve` does."""
    from syntype.serve import running

    folder, port, options = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    running.HEADER_SECONDS = options.pop("header_seconds", running.HEADER_SECONDS)
    if engine := options.pop("engine", ""):
        index, asker = embedded(folder / "index", folder / "root", engine, 30)
    else:
        index, asker = collection(folder / "root", 30)
    folders = {"media_folder": folder / "media", "cache_folder": folder / "cache"}
    running.serve(index, asker, ServeConfig(port=port, **folders, **options))
    print("ended", flush=True)


if __name__ == "__main__":
    main()
