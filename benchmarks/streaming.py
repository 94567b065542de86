"""Feeding from a catalogue of ten million rows, beside webdataset and torchvision's ImageFolder.

    python benchmarks/streaming.py                             the full setting, see below
    python benchmarks/streaming.py --rows 200000 --images 5000 a quick look, about a minute
    pip install webdataset                                     the peer; without it only ours runs

What is made first, in a temporary folder (or --folder, where it is kept): a catalogue of --rows
rows with names of a long-tailed tree of life, places, dates and licences, of which --images point
to pictures of --side pixels in tars of 10,000; the same pictures as class folders, and as the
webdataset shards that `syntype data shards` would write, without the texts.

What is timed, each in a process of its own whose peak memory is told:

    info      the census of all rows
    split     a split of all rows, written as a catalogue
    subset    one order, 50 pictures a species, written as a catalogue
    start     from the catalogue's rows to the first batch of pictures
    epoch     all pictures once, decoded and cropped to 224 pixels, in batches of 256, shuffled

The epoch is also run by the peers over the same pictures, in turns, with as many worker processes:
webdataset over shards (shard shuffle and a buffer of 5,000), and ImageFolder with a DataLoader that
shuffles. All three decode in their own way: ours by simplejpeg, the peers by Pillow, as they are
used; `--same-decoder` gives webdataset ours, so that only the feeding differs.
"""

import argparse
import io
import json
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import simplejpeg

from syntype.configs import AugmentConfig, ChoiceConfig, DataConfig
from syntype.data.catalogue import SCHEMA, Catalogue, conform, writing
from syntype.data.choosing import subset
from syntype.data.dataset import Card
from syntype.data.preprocess import Preprocess
from syntype.data.split_catalogue import split_catalogue
from syntype.data.stream import epoch_order, open_stream

BATCH, SIZE = 256, 224
PREPROCESS = Preprocess(size=SIZE)


def main() -> None:
    """Make what is missing, run each part, print a table."""
    options = arguments()
    if options.part:
        print(json.dumps(run_part(options.part, options)))
        return
    place = options.folder or Path(tempfile.mkdtemp(prefix="syntype-streaming-"))
    try:
        make(place, options)
        report(place, options)
    finally:
        if options.folder is None:
            shutil.rmtree(place)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep what is made here")
    parser.add_argument("--same-decoder", action="store_true")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args()


# What is made.


def make(place: Path, options: argparse.Namespace) -> None:
    """The catalogue, the tars, the class folders and the shards, unless they are there."""
    place.mkdir(parents=True, exist_ok=True)
    if (place / "catalogue").is_dir():
        return
    begin = time.perf_counter()
    places = pictures(place, options)
    catalogue(place, options, places)
    print(f"made in {time.perf_counter() - begin:.0f} s: {place}")


def drawn(number: int, side: int) -> bytes:
    """A picture that weighs what a photograph of that size does: smooth patches and noise."""
    source = np.random.default_rng(number)
    coarse = source.integers(0, 255, (side // 16, side // 16, 3), dtype=np.uint8)
    pixels = np.repeat(np.repeat(coarse, 16, axis=0), 16, axis=1).astype(np.int16)
    pixels += source.integers(-12, 13, pixels.shape, dtype=np.int16)
    return simplejpeg.encode_jpeg(pixels.clip(0, 255).astype(np.uint8), quality=90)


def pictures(place: Path, options: argparse.Namespace) -> list[tuple[str, int, int]]:
    """Write the pictures thrice; where each lies in our tars."""
    # A thousand different ones are enough: what is read is as many bytes as with all different.
    contents = [drawn(number, options.side) for number in range(min(1000, options.images))]
    places = []
    for folder in ("tars", "shards", "classes"):
        (place / folder).mkdir()
    n_classes = min(1000, max(2, options.images // 50))
    for label in range(n_classes):
        (place / "classes" / f"{label:04d}").mkdir()
    in_tar = max(1, min(10_000, options.images // 8))
    for start in range(0, options.images, in_tar):
        ours = place / "tars" / f"part-{start // in_tar:04d}.tar"
        theirs = place / "shards" / f"shard-{start // in_tar:06d}.tar"
        with tarfile.open(ours, "w") as tar, tarfile.open(theirs, "w") as shard:
            for number in range(start, min(start + in_tar, options.images)):
                content, label = contents[number % len(contents)], number % n_classes
                add(tar, f"{number:08d}.jpg", content)
                places.append((f"tars/{ours.name}", tar.offset - padded(content), len(content)))
                add(shard, f"{number:08d}.jpg", content)
                add(shard, f"{number:08d}.cls", str(label).encode())
                (place / "classes" / f"{label:04d}" / f"{number:08d}.jpg").write_bytes(content)
    return places


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """One member."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def padded(content: bytes) -> int:
    """The bytes that a member takes behind its header."""
    return -(-len(content) // 512) * 512


def catalogue(place: Path, options: argparse.Namespace, places: list[tuple[str, int, int]]) -> None:
    """Rows as a tree of life has them; every so-manieth points to a picture."""
    source = np.random.default_rng(0)
    n_species = max(10, min(450_000, options.rows // 22))
    species = (n_species * source.random(options.rows) ** 3).astype(np.int64)
    names = pa.array([f"Genus{i // 8:05d}ia species{i:06d}a".lower().capitalize()
                      for i in range(n_species)])  # fmt: skip
    genera = pa.array([f"Genus{i // 8:05d}ia".lower().capitalize() for i in range(n_species)])
    families = pa.array([f"Family{i // 400:04d}idae" for i in range(n_species)])
    orders = pa.array([f"Order{i // 8000:03d}" for i in range(n_species)])
    terms = pa.array(["CC BY 4.0", "CC BY-NC 4.0", "CC0", ""])
    has = np.full(options.rows, -1)
    has[np.linspace(0, options.rows - 1, len(places)).astype(int)] = np.arange(len(places))
    card = Card(name="made", source="benchmarks/streaming.py", license="CC0")
    with writing(
        place / "catalogue", cards=[card], roots={"made": place}, notes={}, history=[]
    ) as writer:
        for start in range(0, options.rows, 65_536):
            rows = np.arange(start, min(start + 65_536, options.rows))
            of = pa.array(species[rows])
            at = [places[i] if i >= 0 else None for i in has[rows].tolist()]
            days = source.integers(0, 9000, len(rows))
            writer.add(conform(pa.table({
                "id": [f"made/{row:08d}" for row in rows.tolist()],
                "datasetName": ["made"] * len(rows),
                "image": [one[0] if one else "" for one in at],
                "imageStore": ["span" if one else "" for one in at],
                "imageOffset": pa.array([one[1] if one else None for one in at], pa.int64()),
                "imageLength": pa.array([one[2] if one else None for one in at], pa.int64()),
                "verbatimIdentification": names.take(of),
                "scientificName": names.take(of), "species": names.take(of),
                "genus": genera.take(of), "family": families.take(of), "order": orders.take(of),
                "unit": [f"made/{row // 3}" for row in rows.tolist()],
                "license": terms.take(pa.array(source.integers(0, 4, len(rows)))),
                "eventDate": np.datetime_as_string(np.datetime64("2000-01-01") + days),
                "decimalLatitude": source.uniform(-60, 75, len(rows)),
                "decimalLongitude": source.uniform(-180, 180, len(rows)),
                "mediaType": ["StillImage"] * len(rows),
                "accessURI": [f"https://example.org/{row}.jpg" for row in rows.tolist()],
            })))  # fmt: skip


# What is timed.


def run_part(part: str, options: argparse.Namespace) -> dict[str, float]:
    """Run a part in this process; seconds, things done, and the peak of memory."""
    begin = time.perf_counter()
    found = PARTS[part](options)
    seconds = time.perf_counter() - begin
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"seconds": seconds, "peak": own / 1e6, "worker": workers / 1e6, **found}


def info(options: argparse.Namespace) -> dict[str, float]:
    """The census."""
    from syntype.data.census import census_of_catalogue

    catalogue = Catalogue.open(options.folder / "catalogue")
    return {"n": census_of_catalogue(catalogue).rows}


def split(options: argparse.Namespace) -> dict[str, float]:
    """A split of all rows."""
    out = options.folder / "split"
    shutil.rmtree(out, ignore_errors=True)
    config = DataConfig(data=("catalogue",), split="made", split_fractions=(0.95, 0.05, 0.0))
    return {"n": len(split_catalogue(Catalogue.open(options.folder / "catalogue"), config, out))}


def chosen(options: argparse.Namespace) -> dict[str, float]:
    """One order, 50 pictures a species."""
    out = options.folder / "subset"
    shutil.rmtree(out, ignore_errors=True)
    catalogue = Catalogue.open(options.folder / "catalogue")
    taken = subset(catalogue, ChoiceConfig(taxon=("Order000",), per_species=50), out)
    return {"n": len(catalogue), "taken": len(taken)}


def ours(options: argparse.Namespace, *, batches: int = 0) -> Iterator[Any]:
    """Batches of ours."""
    from syntype.data.media import Pictures
    from syntype.training.feeding import Feed

    stream = open_stream(Catalogue.open(options.folder / "catalogue"), split="")
    rows = epoch_order(stream.layout, 16_384, 0, 0)
    cuts = np.array_split(rows, -(-len(rows) // BATCH))
    feed = Feed(partial(read, stream, Pictures(stream, PREPROCESS)), AugmentConfig(crop=1.0,
                flip=False), 0, options.workers)  # fmt: skip
    return feed.batches(cuts[:batches] if batches else cuts, 0)


def read(stream: Any, pictures: Any, rows: np.ndarray) -> Any:
    """Pictures of rows, the system told of their blocks before."""
    stream.expect(rows)
    return pictures.batch(rows, on_error="stop").images


def start(options: argparse.Namespace) -> dict[str, float]:
    """The first batch."""
    return {"n": sum(len(batch) for batch in ours(options, batches=1))}


def epoch(options: argparse.Namespace) -> dict[str, float]:
    """All pictures once."""
    return {"n": sum(len(batch) for batch in ours(options))}


def transform() -> Any:
    """open_clip's evaluation transform, to 8-bit pixels."""
    from torchvision import transforms

    bicubic = transforms.InterpolationMode.BICUBIC
    return transforms.Compose(
        [transforms.Resize(SIZE, bicubic), transforms.CenterCrop(SIZE), transforms.PILToTensor()]
    )


def by_webdataset(options: argparse.Namespace) -> dict[str, float]:
    """All pictures once, by webdataset."""
    import torch
    import webdataset

    shards = sorted(str(path) for path in (options.folder / "shards").glob("*.tar"))
    data = webdataset.WebDataset(
        shards, shardshuffle=len(shards), nodesplitter=None,
        workersplitter=webdataset.split_by_worker,
    ).shuffle(5000)  # fmt: skip
    if options.same_decoder:
        from syntype.data.media import prepare

        data = data.to_tuple("jpg").map_tuple(
            lambda content: torch.from_numpy(prepare(content, PREPROCESS))
        )
    else:
        data = data.decode("pilrgb").to_tuple("jpg").map_tuple(transform())
    loader = webdataset.WebLoader(data.batched(BATCH), batch_size=None, num_workers=options.workers)
    return {"n": sum(len(batch[0]) for batch in loader)}


def by_folder(options: argparse.Namespace) -> dict[str, float]:
    """All pictures once, by ImageFolder."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    data = ImageFolder(str(options.folder / "classes"), transform())
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=options.workers)
    return {"n": sum(len(batch) for batch, _ in loader)}


PARTS = {
    "info": info,
    "split": split,
    "subset": chosen,
    "start": start,
    "epoch": epoch,
    "webdataset": by_webdataset,
    "ImageFolder": by_folder,
}


def report(place: Path, options: argparse.Namespace) -> None:
    """Run the parts and print what they took."""
    n_columns = len(SCHEMA)
    print(f"{options.rows:,} rows of {n_columns} columns, {options.images:,} pictures of "
          f"{options.side} x {options.side}, {options.workers} workers")  # fmt: skip
    for part in ("info", "split", "subset", "start"):
        show(part, [timed(part, place, options)])
    peers = ["epoch", "ImageFolder"]
    try:
        import webdataset  # noqa: F401

        peers.insert(1, "webdataset")
    except ImportError:
        print("webdataset is not installed: without this peer")
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in peers}
    for _ in range(options.rounds):  # in turns
        for name in peers:
            runs[name].append(timed(name, place, options))
            show(name, runs[name])
    pace = {name: statistics.median(one["n"] / one["seconds"] for one in found)
            for name, found in runs.items()}  # fmt: skip
    for name in peers[1:]:
        print(f"ours / {name}: {pace['epoch'] / pace[name]:.2f} times as many pictures a second")


def timed(part: str, place: Path, options: argparse.Namespace) -> dict[str, float]:
    """A part in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(place)]
    command += ["--rows", str(options.rows), "--images", str(options.images)]
    command += ["--workers", str(options.workers), "--side", str(options.side)]
    command += ["--same-decoder"] * options.same_decoder
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def show(part: str, runs: list[dict[str, float]]) -> None:
    """One line."""
    seconds = statistics.median(one["seconds"] for one in runs)
    n = runs[0]["n"]
    print(f"{part:<12} {seconds:8.1f} s  {n / seconds:12,.0f} /s   peak {runs[0]['peak']:.2f} GB"
          f", a worker {runs[0]['worker']:.2f} GB")  # fmt: skip


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
