"""What published models are known to have been trained on, of the published benchmarks.

A score on pictures that a model was trained on is no test, and one on species that it was trained
on is no test of unseen species. The table says what is written somewhere; what it lacks is not
known, which for models trained on crawls of the web is the rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Literal

Contained = Literal["yes", "no", "unknown"]


@dataclass(frozen=True)
class Known:
    """What is known of one model and one benchmark.

    Attributes:
        specs: Patterns of the specs that load the model.
        benchmark: Name of the benchmark as `--data` takes it.
        pictures: Whether the training set holds pictures of the benchmark's test.
        species: Whether it holds other pictures of its species.
        source: Where that is written.
        remark: What follows.
    """

    specs: tuple[str, ...]
    benchmark: str
    pictures: Contained
    species: Contained
    source: str
    remark: str


_BIOCLIP = ("*imageomics/bioclip",)
_BIOCLIP_2 = ("*imageomics/bioclip-2", "*imageomics/bioclip-2.5-vith14")
_INAT_ONLY = ("*imageomics/bioclip-vit-b-16-inat-only",)
_IMAGENET = (
    *("timm:*in1k*", "timm:*in21k*", "timm:*in22k*"),
    *("timm:*lvd142m*", "transformers:*dinov2*"),
)
_CRAWLED = ("open_clip:*/openai", "open_clip:*/laion*", "open_clip:*/webli", "unicom:*")

KNOWN: Sequence[Known] = (
    Known(
        _BIOCLIP,
        "rare-species",
        "no",
        "no",
        "BioCLIP (Stevens et al. 2024) and the TreeOfLife-10M card: the pictures are left out, "
        "and for the unseen set the whole species",
        "A test of unseen species.",
    ),
    Known(
        _BIOCLIP_2,
        "rare-species",
        "no",
        "yes",
        "Imageomics/bioclip, issue 34: for BioCLIP 2 the pictures were left out, not the species",
        "No test of unseen species any more: do not put it beside BioCLIP as one.",
    ),
    Known(
        _BIOCLIP,
        "inat21",
        "no",
        "yes",
        "TreeOfLife-10M card: iNat21's training set is one of its three parts",
        "The validation pictures are new, their 10,000 species are not.",
    ),
    Known(
        _INAT_ONLY,
        "inat21",
        "no",
        "yes",
        "BioCLIP (Stevens et al. 2024): trained on iNat21's training set alone",
        "The validation pictures are new, their 10,000 species are not.",
    ),
    Known(
        ("timm:*inat21*",),
        "inat21",
        "no",
        "yes",
        "timm's model cards: fine-tuned on iNat21's training set",
        "The validation pictures are new, their 10,000 species are not.",
    ),
    *(
        Known(
            _IMAGENET,
            benchmark,
            "yes",
            "yes",
            "the list of CUB's test files that are in ImageNet's training set (Mallya 2018, "
            "gist.github.com/arunmallya/a6889f151483dcb348fa70523cb4f578); the larger ImageNets, "
            "and with them LVD-142M of DINOv2 (Oquab et al. 2023), hold that set",
            "Take the files listed there out of the test.",
        )
        for benchmark in ("cub", "vlm4bio")
    ),
    *(
        Known(
            _CRAWLED,
            benchmark,
            "unknown",
            "unknown",
            "trained on a crawl of the web that is not published picture by picture, or not at all",
            "Pictures that stand on the web may have been seen, with their names.",
        )
        for benchmark in ("rare-species", "inat21", "cub", "nabirds", "vlm4bio", "meta-album")
    ),
)


@dataclass(frozen=True)
class Flag:
    """What is known of one encoder and one benchmark, as it is told and saved.

    Attributes:
        encoder: Spec of the encoder.
        benchmark: Name of the benchmark as `--data` takes it.
        pictures, species, source, remark: See `Known`.
    """

    encoder: str
    benchmark: str
    pictures: Contained
    species: Contained
    source: str
    remark: str

    def sentence(self) -> str:
        """The same in words."""
        return (
            f"{self.encoder} and {self.benchmark}: pictures in its training set: {self.pictures}; "
            f"species: {self.species}. {self.remark} (Source: {self.source}.)"
        )


def flags(encoder: str, benchmarks: Sequence[str]) -> list[Flag]:
    """What is known of the encoder's training set and each of the benchmarks, in their order.

    Args:
        encoder: Spec of the encoder, "" for none.
        benchmarks: Names as `--data` takes them; others than published ones are passed over.
    """
    known = [(name, known_training(encoder, name)) for name in dict.fromkeys(benchmarks)]
    return [
        Flag(encoder, name, one.pictures, one.species, one.source, one.remark)
        for name, one in known
        if one
    ]


def known_training(spec: str, benchmark: str) -> Known | None:
    """What is known of the encoder `spec` and `benchmark`; None where nothing is written.

    Args:
        spec: The encoder.
        benchmark: Name of the benchmark as `--data` takes it, for example rare-species.
    """
    for one in KNOWN:
        if one.benchmark == benchmark and any(fnmatch(spec, pattern) for pattern in one.specs):
            return one
    return None
