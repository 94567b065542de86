"""Which samples, how they become vectors, and where to work."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from syntype.configs.check import check

OnError = Literal["stop", "skip"]
Dtype = Literal["float16", "float32"]
Tracker = Literal["tensorboard", "mlflow", "wandb"]
SPLIT_KINDS = ("given", "made", "unseen")


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where to work and how to show it: never part of a result's identity."""

    workspace: Path = Path("runs")
    """Folder for vectors, clusters, models, scores and reports; everything in it can be reused."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda, cuda:1, mps."""
    workers: int = 0
    """Threads that decode pictures; 0 takes one for each processor."""
    processes: int = 1
    """Processes that train one encoder together, each on a GPU of its own where there are any."""
    track: tuple[Tracker, ...] = ()
    """Where else to write a training's metrics: tensorboard, mlflow, wandb; each if installed."""
    quiet: bool = False
    """Show no progress bars."""

    def __post_init__(self) -> None:
        """Check the workspace, the number of processes, and that trackers are installed."""
        for tool in self.track:
            check(
                find_spec(tool) is not None,
                f"--track {tool} wants the package {tool}, which is not installed: pip install "
                f"{tool}, or leave the option out.",
            )
        check(self.processes >= 1, "--processes must be at least 1.")
        check(
            not self.workspace.is_file(),
            f"{self.workspace} is a file. Name a folder, there or to be made: --workspace runs.",
        )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which samples, how their columns are called, and how they are split."""

    data: tuple[str, ...]
    """Where the samples are: a folder of class folders, a CSV or Parquet table (or a folder with
    one), a catalogue, vlm4bio:FOLDER, synthetic:SIZE. Several are joined, each a taxon group of its
    own unless a column says otherwise; NAME= before one names it, and the name begins its samples'
    ids."""
    column: tuple[str, ...] = ()
    """Which column holds what, as TERM=NAME, for example image=path or species=label; what is not
    named is guessed, and the guess is shown. SET.TERM=NAME speaks to one of several sets."""
    split: str = "given"
    """given: from the data where they have one (train, val, test), else made. made: by units.
    unseen: whole species kept for val and test, the others by units. FILE.parquet: exactly as
    published, a file that `syntype data split` wrote."""
    split_fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    """Shares of train, val and test in a split that is made; units stay whole."""
    unit: str = ""
    """Column of the independent unit (track, specimen, observer) that no split may cut; several
    joined by +; place:0.5 for cells of 0.5 degrees. Empty guesses, and takes each picture for a
    unit of its own where there is no such column."""
    taxon: tuple[str, ...] = ()
    """Only these taxa, by their names at any rank: Lepidoptera, Danaus, "Danaus plexippus"."""
    per_species: int = 0
    """Take at most so many pictures a species, chosen by hash; 0 takes all."""
    limit: int = 0
    """Take at most so many pictures in all, chosen by hash; 0 takes all."""
    on_error: OnError = "skip"
    """What to do with a picture that cannot be read: leave it out and report it, or stop."""
    seed: int = 0
    """Seed of the split and of the choice of pictures."""

    def __post_init__(self) -> None:
        """Check what can be checked without looking at the data."""
        check(len(self.data) > 0, "Name at least one data set: --data FOLDER.")
        check(
            self.split in SPLIT_KINDS or self.split.endswith(".parquet"),
            f"--split {self.split}: it is given, made, unseen, or a file.parquet that `syntype "
            "data split` wrote.",
        )
        fractions = self.split_fractions
        check(
            all(share >= 0 for share in fractions) and abs(sum(fractions) - 1) < 1e-6,
            f"--split-fractions must be three shares that sum to 1, not {fractions}.",
        )
        check(self.per_species >= 0, "--per-species must be 0 (all) or more.")
        check(self.limit >= 0, "--limit must be 0 (all) or more.")
        chosen = self.taxon or self.per_species or self.limit or self.unit
        check(
            self.split in SPLIT_KINDS or not chosen,
            f"--split {self.split} brings its samples and units: leave out --taxon, --per-species, "
            "--limit and --unit.",
        )


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """Turning pictures into unit vectors on disk."""

    batch_size: int = 64
    """Pictures per batch; it changes the speed, and a vector in its last bits."""
    dtype: Dtype = "float32"
    """Number format on disk: float16 halves the room and moves a cosine by less than 0.001."""
    shard_rows: int = 16384
    """Vectors per shard: what a kill can cost at most."""

    def __post_init__(self) -> None:
        """Check the sizes."""
        check(self.batch_size > 0, "--embed.batch-size must be at least 1.")
        check(self.shard_rows > 0, "--embed.shard-rows must be at least 1.")


Samples = Annotated[DataConfig, Parameter(name="*", group="Samples")]
EmbedOptions = Annotated[EmbedConfig, Parameter(group="Vectors")]
Place = Annotated[Workplace, Parameter(name="*", group="Workplace")]
