"""The numbers of a report: plain frozen dataclasses, no pictures, no paths, no times.

Equal scores give equal numbers, and `report.json` holds all of them. Shares and differences are
fractions in [0, 1] and [-1, 1]; the page shows them in per cent and points. `None` means "cannot
be computed", for example a score of a group in which every species has a single picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

Role = Literal["floor", "base", "baseline", "clusters", "species", "contrastive", "random"]
Split = Literal["validation", "test"]
Average = Literal["macro", "micro"]
ROLES: tuple[Role, ...] = get_args(Role)
OVERALL = "Overall"


@dataclass(frozen=True)
class Value:
    """A number and its interval; without an interval `lower` and `upper` are None."""

    estimate: float | None
    lower: float | None = None
    upper: float | None = None


NOTHING = Value(None)


@dataclass(frozen=True)
class Scope:
    """The whole set, or one taxon group of it, in one split.

    Attributes:
        name: `OVERALL` or the taxon group.
        split: validation or test.
        n_images: Pictures evaluated.
        n_scored: Pictures with at least one other picture of their species to be found.
        n_species: Species among the scored pictures.
        n_units: Independent units among the scored pictures.
        n_singletons: Pictures that cannot be scored because nothing relevant exists.
        n_unknown: Pictures that cannot be scored because their label is not known.
    """

    name: str
    split: Split
    n_images: int
    n_scored: int
    n_species: int
    n_units: int
    n_singletons: int
    n_unknown: int


@dataclass(frozen=True)
class Model:
    """One compared model: all its seeds together.

    Attributes:
        key: Its identity in this report.
        name: What the reader sees.
        role: What it is compared as.
        k: Number of classes it was trained on, if it was.
        seeds: Its seeds, ascending.
    """

    key: str
    name: str
    role: Role
    k: int | None
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """One number about one model, the mean over its seeds."""

    model: str
    scope: str
    split: Split
    rank: str
    metric: str
    average: Average
    value: Value


@dataclass(frozen=True)
class Choice:
    """What the validation split chose for one scope; a key is None where there is no candidate."""

    scope: str
    clusters: str | None
    baseline: str | None


@dataclass(frozen=True)
class Comparison:
    """A paired comparison on the test split: `first` minus `second`, same pictures, same resamples.

    Attributes:
        question: Which question it answers: base, baseline, count, species, random.
        scope: The scope.
        average: macro (each species counts the same) or micro (each picture).
        first: Key of the model that is compared.
        second: Key of the model it is compared with.
        difference: `first` minus `second`.
        p: Two-sided bootstrap p-value; None where it cannot be had, with one unit.
        p_holm: The same after Holm's correction within its family.
        family: Comparisons in its family: those of the same average on the whole set, or those
            of the same average in any group. The first answer the questions of the report, the
            second look closer; looking closer must not change the answers.
    """

    question: str
    scope: str
    average: Average
    first: str
    second: str
    difference: Value
    p: float | None
    p_holm: float | None
    family: int


@dataclass(frozen=True)
class Bin:
    """Test score of one model over the species with `name` (2-4, say) training pictures."""

    model: str
    name: str
    n_images: int
    n_species: int
    value: Value


@dataclass(frozen=True)
class Gap:
    """Mean cosine of each picture to its own species and to the others, test split."""

    model: str
    scope: str
    within: float | None
    between: float | None


@dataclass(frozen=True)
class QualityPoint:
    """Agreement of the clusters at `k` with the species, mean over seeds, and its ceiling.

    The ceiling is what perfect clusters of this k would reach on the same pictures: as AMI and
    ARI fall above the number of species whatever the clusters are, only the distance counts.
    """

    k: int
    seeds: int
    quality: Mapping[str, float]
    ceiling: Mapping[str, float]


@dataclass(frozen=True)
class Neighbour:
    """One picture found, and whether it is of the right species; its label is "" if unknown."""

    id: str
    label: str
    similarity: float
    right: bool


PanelKind = Literal["rescued", "broken", "right", "wrong"]


@dataclass(frozen=True)
class Panel:
    """One test picture with what the base model and the best clusters' model found for it."""

    kind: PanelKind
    id: str
    label: str
    group: str
    base: tuple[Neighbour, ...]
    best: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Stage:
    """One stage of the evaluation that really ran."""

    name: str
    detail: str
    cached: bool = False


@dataclass(frozen=True)
class ReportData:
    """Everything that the page, the tables and the figures show.

    Attributes:
        title: Title of the page.
        rank: The rank of the main metric.
        metric: The main metric, for example `Recall@1`.
        objective: The average by which models are chosen on the validation split.
        confidence: Confidence of all intervals.
        resamples: Bootstrap resamples behind them.
        protocol: leave-one-out or gallery.
        ranks: Ranks for which any picture could be scored.
        missing_ranks: Ranks asked for of which nothing is known.
        metrics: All metrics, the main one first.
        n_species: Species in the training split: where one cluster per species would lie.
        n_modes: True number of modes of the training pictures, if it is known.
        models: All models in the order of the page.
        base: Key of the base model, if there is one.
        floor: Key of the floor model, if there is one.
        scopes: Overall and the groups, both splits.
        choices: What validation chose, per scope.
        nearest: Key of the clusters whose k is nearest the number of species, if any is near.
        scores, comparisons, bins, gaps, quality, panels, stages: See their classes.
        dataset: The data as the reader described it, plain JSON.
        settings: The settings of the evaluation, plain JSON.
        failures: (what failed, message).
    """

    title: str
    rank: str
    metric: str
    objective: Average
    confidence: float
    resamples: int
    protocol: str
    ranks: tuple[str, ...]
    missing_ranks: tuple[str, ...]
    metrics: tuple[str, ...]
    n_species: int
    n_modes: int | None
    models: tuple[Model, ...]
    base: str | None
    floor: str | None
    scopes: tuple[Scope, ...]
    choices: tuple[Choice, ...]
    nearest: str | None
    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...] = ()
    bins: tuple[Bin, ...] = ()
    gaps: tuple[Gap, ...] = ()
    quality: tuple[QualityPoint, ...] = ()
    panels: tuple[Panel, ...] = ()
    stages: tuple[Stage, ...] = ()
    dataset: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[tuple[str, str], ...] = ()

    @cached_property
    def _scores(self) -> dict[tuple[str, ...], Value]:
        return {
            (one.model, one.scope, one.split, one.rank, one.metric, one.average): one.value
            for one in self.scores
        }

    @cached_property
    def by_key(self) -> dict[str, Model]:
        """The models by their key."""
        return {model.key: model for model in self.models}

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The taxon groups, or nothing where there is only one."""
        return tuple(s.name for s in self.scopes if s.split == "test" and s.name != OVERALL)

    @property
    def scope_names(self) -> tuple[str, ...]:
        """Overall, then the groups."""
        return (OVERALL, *self.groups)

    @property
    def best(self) -> Model | None:
        """The clusters' model that the validation split chose for the whole set."""
        return self.by_key.get(self.choice(OVERALL).clusters or "")

    @property
    def has_scores(self) -> bool:
        """Whether any test picture could be scored."""
        return self.scope(OVERALL).n_scored > 0

    def of_role(self, *roles: Role) -> tuple[Model, ...]:
        """The models of these roles, in the order of the page."""
        return tuple(model for model in self.models if model.role in roles)

    @property
    def shown(self) -> tuple[Model, ...]:
        """One row per figure: floor, base, baselines, the chosen clusters, the controls.

        Of the controls with a number of classes, the one whose k is nearest the chosen one.
        """
        best = self.best
        rows = list(self.of_role("floor", "base", "baseline"))
        if best is not None:
            rows.append(best)
        rows += self.of_role("species", "contrastive")
        control = self.random_for(best.k if best else None)
        return tuple(rows if control is None else [*rows, control])

    def random_for(self, k: int | None) -> Model | None:
        """The random-label control whose k is nearest `k`, the smaller one when two are."""
        controls = self.of_role("random")
        if not controls:
            return None
        return min(controls, key=lambda model: (abs((model.k or 0) - (k or 0)), model.k or 0))

    def scope(self, name: str, split: Split = "test") -> Scope:
        """The counts of one scope."""
        return next(s for s in self.scopes if s.name == name and s.split == split)

    def choice(self, scope: str) -> Choice:
        """What validation chose for one scope."""
        return next(choice for choice in self.choices if choice.scope == scope)

    def value(
        self,
        model: str,
        scope: str = OVERALL,
        *,
        split: Split = "test",
        rank: str = "",
        metric: str = "",
        average: Average | None = None,
    ) -> Value:
        """One score; the main rank, metric and average where not said otherwise."""
        key = (
            model,
            scope,
            split,
            rank or self.rank,
            metric or self.metric,
            average or self.objective,
        )
        return self._scores.get(key, NOTHING)

    def comparison(
        self, question: str, scope: str = OVERALL, average: Average | None = None
    ) -> Comparison | None:
        """The answer to one question, if both models exist and could be scored."""
        average = average or self.objective
        for one in self.comparisons:
            if (one.question, one.scope, one.average) == (question, scope, average):
                return one
        return None


def rows_of(items: Sequence[Any], **values: Any) -> list[Any]:
    """The items whose attributes equal `values`."""
    return [
        item
        for item in items
        if all(getattr(item, name) == value for name, value in values.items())
    ]
