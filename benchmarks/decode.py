"""Decoding and preprocessing: syntype against open_clip's evaluation transform.

    python benchmarks/decode.py [--n 40]

Both turn the same JPEG bytes into the same 224 x 224 pixels (before the normalisation, which both
do alike) on one thread, picture by picture in turns. The pictures are generated: smooth colours
with sensor-like noise, as photographs have. Each is done five times by each, processor time is
taken, and the least counts, because on a busy machine the rest measures the other programs.
Prints the pictures a second (of the median picture) of each, the ratio, and the mean absolute
difference in 8-bit levels (of 255); the target is a ratio of 2.4 at 0.01 at most.
"""

import argparse
import io
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from open_clip.transform import image_transform
from PIL import Image

from syntype.data.media import prepare
from syntype.data.preprocess import Preprocess

SIZES = ((1000, 750), (500, 375))
PREPROCESS = Preprocess(size=224)
_TURNS = 5


def photograph(width: int, height: int, seed: int) -> bytes:
    """A JPEG with the statistics that matter for speed: smooth areas, edges and noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 40 + 1, width // 40 + 1, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.asarray(smooth) + rng.normal(0, 5, (height, width, 3))
    buffer = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def reference(content: bytes, geometry: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """open_clip's way, up to 8-bit pixels, channels first."""
    return np.array(geometry(Image.open(io.BytesIO(content)))).transpose(2, 0, 1)


def timed(content: bytes, geometry: Callable[[Image.Image], Image.Image]) -> tuple[float, float]:
    """Seconds that syntype and open_clip take for one picture, one after the other."""
    start = time.process_time()
    prepare(content, PREPROCESS)
    middle = time.process_time()
    reference(content, geometry)
    return middle - start, time.process_time() - middle


def main() -> None:
    """Time both in turns and print one line a picture size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=40, help="pictures of each size")
    n = parser.parse_args().n
    torch.set_num_threads(1)
    transform = image_transform(224, is_train=False)
    # Resize, crop, convert: the steps before ToTensor and Normalize.
    transform.transforms = transform.transforms[:-2]
    for width, height in SIZES:
        ours: list[float] = []
        theirs: list[float] = []
        differences = []
        for index in range(n):
            content = photograph(width, height, index)
            turns = [timed(content, transform) for _ in range(_TURNS)]
            ours.append(min(turn[0] for turn in turns))
            theirs.append(min(turn[1] for turn in turns))
            expected = reference(content, transform).astype(int)
            differences.append(np.abs(prepare(content, PREPROCESS) - expected).mean())
        print(
            f"{width} x {height}: syntype {1 / median(ours):.0f}/s, open_clip "
            f"{1 / median(theirs):.0f}/s, ratio {median(theirs) / median(ours):.2f}, "
            f"mean absolute difference {np.mean(differences):.4f} levels"
        )


if __name__ == "__main__":
    main()
