"""Training pictures ready for the device: ours against open_clip's training transform.

    python benchmarks/feeding.py                2 workers, batches of 64, 224 pixels
    python benchmarks/feeding.py --workers 0    no worker processes

Both read the same generated JPEGs, crop them at random to 40 to 100 % of their area, mirror half of
them, and give batches through the same DataLoader with the same number of workers; theirs crops the
whole picture in PIL and gives normalised floats, as open_clip trains; ours reads it at the
encoder's size, crops that, and gives bytes that the device normalises. Each has its turns, epoch by
epoch, the start of the workers included. Prints pictures a second and the ratio of the medians.
"""

import argparse
import io
import time
from statistics import median

import numpy as np
import torch
from decode import photograph
from open_clip.transform import image_transform
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from syntype.configs import AugmentConfig
from syntype.data.media import prepare
from syntype.data.preprocess import Preprocess
from syntype.training.feeding import Feed

PREPROCESS = Preprocess(size=224)
SIZES = ((1000, 750), (500, 375))


class Theirs(Dataset[torch.Tensor]):
    """open_clip's training transform, picture by picture."""

    def __init__(self, contents: list[bytes]) -> None:
        self.contents = contents
        self.change = image_transform(224, is_train=True, aug_cfg={"scale": (0.4, 1.0)})

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, row: int) -> torch.Tensor:
        found: torch.Tensor = self.change(Image.open(io.BytesIO(self.contents[row])))
        return found


def ours(contents: list[bytes], batch_size: int, workers: int, epoch: int) -> int:
    """One epoch; the number of pictures that arrived."""

    def read(rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.stack([prepare(contents[row], PREPROCESS) for row in rows]))

    rows = [np.arange(len(contents))[at : at + batch_size]
            for at in range(0, len(contents), batch_size)]  # fmt: skip
    feed = Feed(read, AugmentConfig(), seed=0, workers=workers)
    return sum(len(batch) for batch in feed.batches(rows, epoch))


def theirs(data: Theirs, batch_size: int, workers: int) -> int:
    """Likewise."""
    fork = {"multiprocessing_context": "fork"} if workers else {}
    return sum(len(batch) for batch in DataLoader(data, batch_size, num_workers=workers, **fork))


def main() -> None:
    """Time epochs of both in turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=512, help="pictures")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    distinct = [photograph(*SIZES[row % 2], seed=row) for row in range(32)]
    contents = [distinct[row % 32] for row in range(options.n)]
    data = Theirs(contents)
    rates: dict[str, list[float]] = {"ours": [], "open_clip": []}
    for epoch in range(options.rounds):
        for name in rates:
            begin = time.perf_counter()
            if name == "ours":
                n = ours(contents, options.batch_size, options.workers, epoch)
            else:
                n = theirs(data, options.batch_size, options.workers)
            rates[name].append(n / (time.perf_counter() - begin))
            print(f"epoch {epoch}: {name:9s} {rates[name][-1]:7.0f} pictures/s")
    mine, peer = median(rates["ours"]), median(rates["open_clip"])
    print(f"{options.workers} workers: {mine:.0f} against {peer:.0f}, ratio {mine / peer:.2f}")


if __name__ == "__main__":
    main()
