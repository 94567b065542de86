"""Published sets by name: where their files are, under which terms, and how they are read then.

Addresses, sizes and hashes are those that the sets' own pages state. A set whose owner wants a form
to be filled in is here too: the answer is then how to get it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from syntype.data import vlm4bio
from syntype.data.benchmarks.benchmark import Benchmark
from syntype.data.benchmarks.registry import BENCHMARKS
from syntype.data.collections.collection import Collection
from syntype.data.collections.registry import COLLECTIONS
from syntype.errors import UsageError
from syntype.fetching.hub import repository
from syntype.fetching.wanted import Wanted

_INAT = "https://ml-inat-competition-datasets.s3.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A set that can be fetched.

    Attributes:
        name: What `syntype data get` calls it.
        title: Its name in print.
        page: Where it is described.
        license: Its terms, as its page states them.
        citation: How to cite it.
        parts: What can be chosen, each with the addresses of its files; the first is the default.
        hub: Its repository of the hub, instead of addresses; parts are then patterns of paths.
        digests: File to its published hash.
        reader: How `--data` names it once it is here; {} stands for its folder.
        by_hand: How to have it, where it cannot be fetched.
    """

    name: str
    title: str
    page: str
    license: str
    citation: str
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hub: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    reader: str
    by_hand: str = ""


def _of(benchmark: Benchmark, **options: object) -> Source:
    """A set whose reader knows its title and terms."""
    return Source(
        name=benchmark.name,
        title=benchmark.title,
        page=benchmark.source,
        license=benchmark.license,
        citation=benchmark.citation,
        digests={name: f"md5:{md5}" for name, md5 in benchmark.checksums.items()},
        reader=f"{benchmark.name}:{{}}",
        **options,  # type: ignore[arg-type]
    )


_FETCHED: Mapping[str, Mapping[str, object]] = {
    "inat21": {
        "parts": {
            "mini": [f"{_INAT}/2021/{name}" for name in (
                "train_mini.json.tar.gz", "val.json.tar.gz", "train_mini.tar.gz", "val.tar.gz")],
            "val": [f"{_INAT}/2021/{name}" for name in ("val.json.tar.gz", "val.tar.gz")],
            "full": [f"{_INAT}/2021/{name}" for name in (
                "train.json.tar.gz", "val.json.tar.gz", "train.tar.gz", "val.tar.gz")],
        }
    },
    "newt": {
        "parts": {"": [f"{_INAT}/newt/newt2021_labels.csv.tar.gz",
                       f"{_INAT}/newt/newt2021_images.tar.gz"]}
    },
    "cub": {
        "parts": {"": ["https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"]}
    },
    "rare-species": {"hub": "imageomics/rare-species"},
    "idle-oo": {"hub": "imageomics/IDLE-OO-Camera-Traps"},
}  # fmt: skip

_ZENODO_BIOSCAN = "https://zenodo.org/records/8030065/files"
_BIOSCAN_TABLE = "BIOSCAN_Insect_Dataset_metadata.tsv"
_COLLECTED: Mapping[str, Mapping[str, object]] = {
    "tree-of-life-10m": {
        "hub": "imageomics/TreeOfLife-10M",
        "parts": {
            "": ["*"],
            "metadata": ["metadata/*"],
            "eol": ["metadata/catalog.csv", "metadata/licenses.csv", "dataset/EOL/*"],
        },
    },
    "tree-of-life-200m": {
        "hub": "imageomics/TreeOfLife-200M",
        "parts": {
            "": ["dataset/catalog.parquet", "dataset/metadata/provenance.parquet"],
            "catalog": ["dataset/catalog.parquet"],
            "all": ["*"],
        },
    },
    "bioscan-1m": {
        "parts": {
            part: [f"{_ZENODO_BIOSCAN}/{name}" for name in names]
            for part, names in {
                "cropped_256": (_BIOSCAN_TABLE, "cropped_256.zip"),
                "original_256": (_BIOSCAN_TABLE, "original_256.zip"),
                "metadata": (_BIOSCAN_TABLE,),
            }.items()
        },
        # As public code that reads the set checks them.
        "digests": {
            _BIOSCAN_TABLE: "md5:dec3bb23870a35e2e13bc17a5809c901",
            "cropped_256.zip": "md5:fe1175815742db14f7372d505345284a",
            "original_256.zip": "md5:9729fc1c49d84e7f1bfc6f5a0916d72b",
        },
    },
    "biotrove": {"hub": "BGLab/BioTrove", "parts": {"": ["BioTrove/*.parquet"], "all": ["*"]}},
}


def _collected(collection: Collection, **options: object) -> Source:
    """A large set whose reader knows its title and terms."""
    return Source(
        name=collection.name,
        title=collection.title,
        page=collection.source,
        license=collection.license,
        citation=collection.citation,
        reader=f"{collection.name}:{{}}",
        **options,  # type: ignore[arg-type]
    )


SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        *(
            _of(benchmark, **_FETCHED.get(name, {"by_hand": benchmark.get}))
            for name, benchmark in BENCHMARKS.items()
        ),
        Source(
            name="vlm4bio",
            title="VLM4Bio (fish, birds, butterflies)",
            page="https://huggingface.co/datasets/imageomics/VLM4Bio",
            license=vlm4bio.LICENSE,
            citation=vlm4bio.CITATION,
            hub="imageomics/VLM4Bio",
            reader="vlm4bio:{}/datasets",
        ),
        *(_collected(one, **_COLLECTED[name]) for name, one in COLLECTIONS.items()),
        Source(
            name="biotrove-train",
            title="BioTrove-Train (40 million addresses) and the test sets of BioTrove",
            page="https://huggingface.co/datasets/BGLab/BioTrove-Train",
            license=COLLECTIONS["biotrove"].license,
            citation=COLLECTIONS["biotrove"].citation,
            hub="BGLab/BioTrove-Train",
            parts={"": ["*"], "benchmark": ["BioTrove-benchmark/*"]},
            reader="",
        ),
    )
}


@dataclass(frozen=True)
class Found:
    """What `syntype data get` is to fetch.

    Attributes:
        name: Of the folder.
        files: What it holds.
        source: What is written down about it.
        reader: How `--data` names it then; "" where no reader knows it.
    """

    name: str
    files: Sequence[Wanted]
    source: Mapping[str, str]
    reader: str


def find(spec: str, only: Sequence[str] = ()) -> Found:
    """The files that a name stands for.

    Args:
        spec: NAME or NAME#PART of `SOURCES`, hub:ORGANISATION/NAME[@REVISION], or an address.
        only: Patterns of paths; none takes all of the part.

    Raises:
        UsageError: There is no such set or part, a pattern matches nothing, or the set must be
            got by hand.
        DataNotFoundError: The hub does not know the repository.
        ResourceError: The hub cannot be reached.
    """
    if spec.startswith(("http://", "https://")):
        name = urlsplit(spec).path.rpartition("/")[2] or urlsplit(spec).netloc
        return Found(name.split(".")[0], [Wanted(url=spec, path=name)], {"page": spec}, "")
    if spec.startswith("hub:"):
        repo, _, revision = spec.removeprefix("hub:").partition("@")
        return _from_hub(repo.replace("/", "--"), repo, revision, only, {}, "")
    name, _, part = spec.partition("#")
    name, _, revision = name.partition("@")
    if name not in SOURCES:
        raise UsageError(
            f"There is no set {name!r}: it is one of {', '.join(SOURCES)}, "
            "hub:ORGANISATION/NAME, or an address (https://...)."
        )
    return _from_source(SOURCES[name], part, revision, only)


def _from_source(source: Source, part: str, revision: str, only: Sequence[str]) -> Found:
    about = {
        "name": source.name,
        "title": source.title,
        "page": source.page,
        "license": source.license,
        "citation": source.citation,
        "part": part,
    }
    if source.by_hand:
        raise UsageError(
            f"{source.title} cannot be fetched by a command: see {source.page} ({source.by_hand}; "
            f"terms: {source.license}). Then read it with --data {source.reader.format('FOLDER')}."
        )
    if part and part not in source.parts:
        known = ", ".join(repr(one) for one in source.parts if one) or "none"
        raise UsageError(f"{source.name} has no part {part!r}; its parts are {known}.")
    if source.hub:
        patterns = only or source.parts.get(part, ())
        return _from_hub(source.name, source.hub, revision, patterns, about, source.reader)
    part = part or next(iter(source.parts))
    files = [
        Wanted(url=url, path=name, digest=source.digests.get(name, ""))
        for url in source.parts[part]
        for name in (url.rpartition("/")[2],)
    ]
    return Found(source.name, files, about, source.reader)


def _from_hub(
    folder: str,
    repo: str,
    revision: str,
    only: Sequence[str],
    about: Mapping[str, str],
    reader: str,
) -> Found:
    found = repository(repo, revision)
    files = found.only(only) if only else found.files
    page = f"https://huggingface.co/datasets/{repo}"
    known = {"name": repo, "page": page, "license": found.license, **about}
    return Found(folder, files, {**known, "revision": found.revision}, reader)
