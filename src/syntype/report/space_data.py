"""What the report of a space of several modalities shows: numbers and small media, no models.

The page (`space_page`) is a function of a `SpaceReport`; whoever has run the evaluation fills it.
All shares are fractions; all media are bytes as they go into the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from syntype.report.data import Value

Kind = Literal["image", "sound", "satellite", "text", "place", "climate"]


@dataclass(frozen=True, kw_only=True)
class PairCell:
    """One pair of modalities at one level of relevance.

    Attributes:
        metrics: `Recall@K` and `mAP` as fractions, `medianRank` as a rank.
        chance: The same by chance, where it is known.
        n_queries: Queries that were scored.
        n_gallery: Different contents that were searched.
    """

    query: str
    gallery: str
    metrics: Mapping[str, Value]
    chance: Mapping[str, int | float | None]
    n_queries: int
    n_gallery: int


@dataclass(frozen=True, kw_only=True)
class LevelMatrix:
    """The matrix at one level: `instance`, `species`, `genus`, `family`."""

    level: str
    cells: Sequence[PairCell]


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One strength of patching: the scores of every task."""

    alpha: int | float
    scores: Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class PatchCurve:
    """What patching with one modality does to every task.

    Attributes:
        name: For example "alpha of the image tower, after unlocked tuning with sound".
        points: From alpha 0 to 1.
        chosen: The alpha that was taken.
        floors: The least score that the budget allows, for tasks that have one.
        patching_task: The task that alpha was to help; its panel comes first.
        split: What alpha was chosen on.
    """

    name: str
    points: Sequence[CurvePoint]
    chosen: int | float
    floors: Mapping[str, int | float]
    patching_task: str
    split: str


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """One task at each step.

    Attributes:
        scores: By step, in order: for example `binder`, `locked`, `unlocked`, `patched`.
        changes: What a step has more than the one before it, paired, as fractions.
    """

    task: str
    scores: Mapping[str, Value]
    changes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CombinationRow:
    """Zero-shot classification by one combination of modalities.

    Attributes:
        name: For example "image + sound", or "image + sound (sound shuffled)".
        score: Top-1 of species, or what `SpaceReport.zero_shot_metric` says.
        n: Rows it could answer.
        missing: Rows that lack a modality it needs.
        baseline: Whether it is there to compare with.
    """

    name: str
    score: Value
    n: int
    missing: int = 0
    baseline: bool = False


@dataclass(frozen=True, kw_only=True)
class GainRow:
    """What adding a modality changes, paired; `verdict` is helps, hurts or undecided."""

    added: str
    without: str
    change: Value
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Medium:
    """Something to look at, listen to or read.

    Attributes:
        kind: What it is.
        caption: Whose it is: as a rule the species.
        content: A picture or a sound (WAV, FLAC, MP3 or Ogg); None for text, place and climate,
            and where there is none.
        text: The words, the coordinates or the climate in words.
    """

    kind: Kind
    caption: str
    content: bytes | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One answer: what, whether it is right, and how similar it is."""

    medium: Medium
    right: bool
    similarity: int | float


@dataclass(frozen=True, kw_only=True)
class Example:
    """A query and what was found, nearest first.

    Attributes:
        rank: Where the first right answer is, from 1; None where there is none.
        n_gallery: What was searched.
    """

    query: Medium
    answers: Sequence[Found]
    rank: int | float | None
    n_gallery: int


@dataclass(frozen=True, kw_only=True)
class MapView:
    """A range map.

    Attributes:
        name: What was asked for, for example "Parus major (by its name)".
        score: Rows from north to south, 0 to 1; NaN where nothing is shown.
        reading: What a score means.
        truth: Where the species is, where that is known.
        presences: Latitude and longitude of records to draw.
        metrics: Agreement with the truth, named as the reader sees them.
        file: The GeoTIFF beside the page; "" where there is none.
        warning: "" or a sentence.
    """

    name: str
    score: Float[np.ndarray, "h w"]
    west: int | float
    south: int | float
    east: int | float
    north: int | float
    reading: str
    truth: Bool[np.ndarray, "h w"] | None = None
    presences: Sequence[tuple[int | float, int | float]] = ()
    metrics: Mapping[str, Value] = field(default_factory=dict)
    file: str = ""
    warning: str = ""


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One bin of the geographic audit; `n_train` is None where a bin is not of places."""

    name: str
    score: Value
    n: int
    n_train: int | None = None


@dataclass(frozen=True, kw_only=True)
class AuditView:
    """The audit by one thing, for example "Distance to the nearest training point"."""

    title: str
    rows: Sequence[AuditRow]


@dataclass(frozen=True, kw_only=True)
class Presence:
    """How many rows have a modality, and why others do not: reason to number."""

    modality: str
    n: int
    missing: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SpaceReport:
    """Everything that the page shows. An empty part is left out of the page.

    Attributes:
        title: Of the page.
        dataset: Its name.
        binder: What binds.
        modalities: In the order of the matrix.
        n: Rows that were scored.
        n_units: Their independent units.
        n_species: Their species.
        split: Which they are of.
        steps: The names of the steps, in order.
        curves_metric: What the curves' scores are.
        zero_shot_metric: What scores of combinations are.
        audit_metric: What the audit's scores are.
        step_notes: What the steps did, in sentences.
        zero_shot_notes: What the combinations are, in sentences.
        map_notes: What all maps together say, in sentences.
        warnings: What the reader must know first.
        left_out: What is missing from this report, and why.
        commands: How to make it again.
        confidence: Of all intervals.
    """

    title: str
    dataset: str
    binder: str
    modalities: Sequence[str]
    n: int
    n_units: int
    n_species: int
    split: str
    matrices: Sequence[LevelMatrix] = ()
    metric: str = "Recall@1"
    curves: Sequence[PatchCurve] = ()
    curves_metric: str = ""
    steps: Sequence[str] = ()
    step_rows: Sequence[StepRow] = ()
    combinations: Sequence[CombinationRow] = ()
    gains: Sequence[GainRow] = ()
    zero_shot_metric: str = "top-1 of species"
    n_classes: int = 0
    examples: Sequence[Example] = ()
    maps: Sequence[MapView] = ()
    audit: Sequence[AuditView] = ()
    audit_metric: str = ""
    audit_notes: Sequence[str] = ()
    step_notes: Sequence[str] = ()
    zero_shot_notes: Sequence[str] = ()
    map_notes: Sequence[str] = ()
    presence: Sequence[Presence] = ()
    warnings: Sequence[str] = ()
    left_out: Sequence[str] = ()
    commands: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    confidence: int | float = 0.95
