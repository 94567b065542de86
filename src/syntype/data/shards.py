"""A catalogue's pictures as webdataset shards, for tools that want them; syntype does not.

    FOLDER/shard-000000.tar      so many pictures each, in an order drawn from the seed
    FOLDER/shards.json           what they are made of, and how many pictures each has

A picture is squashed to a square and has the ten texts of TreeOfLife-10M's shards (the data card of
imageomics/TreeOfLife-10M) beside it, and `json` with its id and licence:

    KEY.jpg  KEY.scientific_name.txt  KEY.taxonomic_name.txt  KEY.common_name.txt  KEY.sci.txt
    KEY.com.txt  KEY.taxon.txt  KEY.taxonTag.txt  KEY.sci_com.txt  KEY.taxon_com.txt
    KEY.taxonTag_com.txt  KEY.json

Which pictures are in a shard depends on the catalogue and the seed only. So a shard that is there
is left alone, a killed run goes on, and the tasks of a job array each write their share.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import simplejpeg

from syntype import files
from syntype.configs import ShardsConfig
from syntype.data.catalogue import Catalogue
from syntype.data.decode import decode
from syntype.data.geometry import fit
from syntype.data.preprocess import Preprocess
from syntype.data.stream import Stream, epoch_order, open_stream
from syntype.errors import DataNotFoundError, MediaError, UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import bytes_hash
from syntype.taxonomy.taxon import RANKS, Taxon
from syntype.taxonomy.text import PROMPT, in_words

FILE = "shards.json"
_KEY = re.compile(r"[\w-]+")
_AHEAD = 64


def write_shards(
    catalogue: Catalogue,
    folder: Path,
    config: ShardsConfig,
    *,
    share: tuple[int, int] = (0, 1),
    workers: int = 1,
    progress: Progress = SILENT,
) -> dict[str, int]:
    """Write the shards that are missing.

    Args:
        catalogue: Whose pictures.
        folder: Where they go.
        config: Which split, how large, how many in a shard.
        share: Number (from 0) and count of shares: each task of an array writes every n-th shard.
        workers: Threads that read, squash and encode.
        progress: Where to say how far it is.

    Returns:
        Pictures written and pictures that cannot be read, in the shards of this share.

    Raises:
        UsageError: The folder has shards of something else.
        DataError: There is no picture to write.
        ResourceError: The disk is full, or the folder may not be written.
    """
    stream = open_stream(catalogue, split=config.split, with_ids=True, progress=progress)
    order = epoch_order(stream.layout, config.mixed, config.seed, 0)
    n_shards = -(-len(order) // config.rows)
    _claim(catalogue, folder, config, n_shards)
    number, n_shares = share
    mine = range(number, n_shards, n_shares)
    done = {"written": 0, "unreadable": 0}
    with (
        ThreadPoolExecutor(max(1, workers)) as pool,
        progress.task("shards", len(mine)) as task,
    ):
        for shard in mine:
            path = folder / f"shard-{shard:06d}.tar"
            told = path.with_suffix(".json")
            if not (path.is_file() and told.is_file()):
                rows = order[shard * config.rows : (shard + 1) * config.rows].tolist()
                members = _members(stream, rows, config, pool)
                files.write_json(told, _write(path, members))
            for key, n in files.as_mapping(files.read_json(told), told).items():
                done[key] += n if isinstance(n, int) else len(n)
            task.advance()
    return done


def _claim(catalogue: Catalogue, folder: Path, config: ShardsConfig, n_shards: int) -> None:
    """Write down what the folder holds, or see that it is this."""
    what = {"catalogue": catalogue.revision, "shards": n_shards, **asdict(config)}
    path = folder / FILE
    if not path.is_file():
        files.write_json(path, what)
    elif files.read_json(path) != what:
        raise UsageError(
            f"{folder} holds shards of another catalogue, or made in another way ({FILE} says "
            "which). Name a new folder with --to."
        )


def _write(path: Path, members: Iterator[tuple[str, dict[str, bytes], str]]) -> dict[str, object]:
    """Write a shard; what is in it, and what could not be read."""
    n_written, unreadable = 0, {}
    with files.atomic_path(path) as temporary, tarfile.open(temporary, "w") as tar:
        for key, parts, reason in members:
            if reason:
                unreadable[key] = reason
                continue
            n_written += 1
            for ending, content in parts.items():
                member = tarfile.TarInfo(f"{key}.{ending}")
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
    return {"written": n_written, "unreadable": unreadable}


def _members(
    stream: Stream, rows: list[int], config: ShardsConfig, pool: ThreadPoolExecutor
) -> Iterator[tuple[str, dict[str, bytes], str]]:
    """Key, parts and fault of each picture, in order; so many are prepared ahead."""

    def one(row: int) -> tuple[str, dict[str, bytes], str]:
        id_ = stream.id(row)
        try:
            picture = _squashed(stream.read(row), config)
        except (MediaError, DataNotFoundError, OSError) as error:
            return id_, {}, str(error)
        about = {"id": id_, "license": stream.license(row)}
        parts = {"jpg": picture, **texts(stream.taxa[stream.taxon[row]])}
        return key_of(id_), parts | {"json": json.dumps(about, sort_keys=True).encode()}, ""

    for start in range(0, len(rows), _AHEAD):
        yield from pool.map(one, rows[start : start + _AHEAD])


def key_of(id_: str) -> str:
    """The name of a sample in a shard: the id behind its set's name, if it has the form of one.

    A dot would end the name, a slash make a folder; such ids are hashed.
    """
    name = id_.partition("/")[2]
    return name if _KEY.fullmatch(name) else bytes_hash(id_.encode())[:24]


def texts(taxon: Taxon) -> dict[str, bytes]:
    """The ten texts of a picture, by the ending of their file."""
    name, ranks = taxon.scientific_name, in_words(taxon, "taxonomic")
    common = taxon.vernacular_name or name
    tags = tagged(taxon)
    found = {"scientific_name": name, "taxonomic_name": ranks, "common_name": common}
    words = {
        "sci": name,
        "com": common,
        "taxon": ranks,
        "taxonTag": tags,
        "sci_com": f"{name} with common name {common}",
        "taxon_com": f"{ranks} with common name {common}",
        "taxonTag_com": f"{tags} with common name {common}",
    }
    found |= {ending: PROMPT.format(text) for ending, text in words.items()}
    return {f"{ending}.txt": text.encode() for ending, text in found.items()}


def tagged(taxon: Taxon) -> str:
    """The known ranks, each behind its name: kingdom Animalia ... genus Parus species major."""
    genus, known = taxon.at("genus"), []
    for rank, name in zip(RANKS, taxon.lineage, strict=True):
        if rank == "species":
            name = name.removeprefix(f"{genus} ") if genus else name
            name = "" if name == genus else name
        if name:
            known.append(f"{rank} {name}")
    return " ".join(known)


def _squashed(content: bytes, config: ShardsConfig) -> bytes:
    preprocess = Preprocess(size=config.size, fit="squash")
    pixels = fit(decode(content), preprocess).transpose(1, 2, 0)
    encoded: bytes = simplejpeg.encode_jpeg(
        pixels.copy(), quality=config.quality, colorsubsampling="420"
    )
    return encoded
