"""The main job: every k, every seed, every control and baseline over the same pictures, one report.

What is chosen (the k whose clusters the random control shuffles) is chosen on the validation
split. A k that fails is reported and the others go on; encoders are all loaded first, so a wrong
name or missing weights stop the job before it costs anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from syntype import files
from syntype.clustering.clusters import Clusters
from syntype.configs import (
    ClusterConfig,
    Objective,
    SweepConfig,
    TaskOptions,
    Workplace,
    rebuild,
)
from syntype.data.dataset import Dataset
from syntype.data.records import left_out_notes, merge_left_out
from syntype.errors import (
    DataNotFoundError,
    IncompleteError,
    ResourceError,
    SyntypeError,
    UsageError,
)
from syntype.evaluation.scores import Scores
from syntype.progress import SILENT, Progress
from syntype.provenance import environment, plain
from syntype.report.compare import ClusterQuality, Context, Evaluated, compare
from syntype.report.data import Role, Stage
from syntype.report.describe import describe_dataset
from syntype.report.page import write_report
from syntype.runs import Run
from syntype.sweep.workshop import TRAINED_NAMES, Clustering, Model, Workshop
from syntype.training.pausing import Paused

_TRAINED = ("clusters", "species", "contrastive", "random")
# Trainings that need no clusters.
_APART: tuple[Objective, ...] = ("species", "contrastive")
_SHUFFLED: Objective = "random"
_OUTCOME = "outcome.json"
_REPORT = "report"


@dataclass(frozen=True)
class Entry:
    """One scored model, by the keys of its runs."""

    name: str
    role: Role
    k: int | None
    seed: int
    validation: str
    test: str


@dataclass
class Outcome:
    """What a sweep made, by the keys of the runs that hold it: enough to write the report.

    Attributes:
        models: The scored models.
        clusterings: (k, seed, key of the run).
        failures: (what failed, message).
        unreadable: (id of a picture, why it has no vector).
    """

    models: list[Entry] = field(default_factory=list)
    clusterings: list[tuple[int, int, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Sweep:
    """One sweep under way."""

    config: SweepConfig
    workshop: Workshop
    outcome: Outcome = field(default_factory=Outcome)
    clusters: dict[tuple[int, int], Clustering] = field(default_factory=dict)

    def walk(self) -> Outcome:
        """All stages but the report."""
        self.references()
        base = self.workshop.model(self.config.base, "base")
        self.outcome.unreadable = [(one.id, one.reason) for one in base.vectors.skipped]
        for k in sorted(self.config.k):
            self.each_seed(base, k)
        self.controls(base)
        return self.outcome

    def references(self) -> None:
        """Score what is not trained here; all are loaded before the first costs anything."""
        for spec, _ in self.config.references:
            self.workshop.encoder(spec)
        for spec, role in self.config.references:
            self.score(self.workshop.model(spec, role))

    def each_seed(self, base: Model, k: int) -> None:
        """Cluster at k, train and score, with each seed."""
        for seed in self.config.seeds:
            self.attempt(f"k = {k:,}, seed {seed}", partial(self.one, base, k, seed))

    def attempt(self, what: str, work: Callable[[], None]) -> None:
        """Do `work`; a failure is noted, and the sweep goes on.

        Raises:
            ResourceError: The machine refused, and would refuse the rest as well.
            Paused: A signal asked for a pause.
        """
        try:
            work()
        except (ResourceError, Paused):
            raise
        except SyntypeError as error:
            self.outcome.failures.append((what, str(error)))
            self.workshop.progress.say(f"{what} failed: {error}")

    def one(self, base: Model, k: int, seed: int) -> None:
        """Cluster at k, train against the clusters, score.

        From here on k is the number of clusters there are: with `--cluster.within species` the k
        asked for is that of each species at most, and two of them may come to the same clusters.
        """
        clustering = self.workshop.clusters(
            base,
            ClusterConfig.of(replace(self.config.cluster, seed=seed), k),
            most=max(self.config.k),
        )
        n_clusters = clustering.clusters.k
        if (n_clusters, seed) in self.clusters:
            self.workshop.progress.say(f"k = {k:,} gives the same {n_clusters:,} clusters again")
            return
        self.clusters[n_clusters, seed] = clustering
        self.outcome.clusterings.append((n_clusters, seed, clustering.key))
        self.train(base, "clusters", clustering, seed)

    def train(self, base: Model, role: Objective, clustering: Clustering | None, seed: int) -> None:
        """Train against one objective and score."""
        config = replace(self.config.train, seed=seed)
        self.score(self.workshop.trained(base, role, clustering, config))

    def controls(self, base: Model) -> None:
        """Species labels, words, and the chosen k's cluster labels dealt at random."""
        chosen = self.chosen_k()
        for seed in self.config.seeds:
            for role in _APART:
                self.control(base, role, seed)
            self.control(base, _SHUFFLED, seed, chosen)

    def control(self, base: Model, role: Objective, seed: int, k: int | None = None) -> None:
        """One of them with one seed, if it is wanted and can be."""
        clustering = self.clusters.get((k, seed)) if k else None
        if role in self.config.objective and (role in _APART or clustering is not None):
            self.attempt(
                f"{TRAINED_NAMES[role]}, seed {seed}",
                partial(self.train, base, role, clustering, seed),
            )

    def chosen_k(self) -> int | None:
        """The k that the validation split chooses for the whole set."""
        trained = [entry for entry in self.outcome.models if entry.role == "clusters"]
        if not trained:
            return None
        few = replace(self.config.evaluate, resamples=100)
        found = compare(
            [load_entry(entry, self.workshop.place.workspace) for entry in trained],
            [],
            Context(title="", n_species=0),
            few,
        )
        return found.best.k if found.best else None

    def score(self, model: Model) -> None:
        """Score a model on the validation and the test split."""
        options = TaskOptions(evaluate=self.config.evaluate)
        keys = [self.workshop.score_run(model, split, options) for split in ("val", "test")]
        for split in ("val", "test"):
            self.workshop.scores(model, split, options)
        self.outcome.models.append(
            Entry(model.name, model.role, model.k, model.seed, keys[0].key, keys[1].key)
        )


def parts_of(config: SweepConfig) -> tuple[str, ...]:
    """The parts of a sweep that train, each of which can run apart.

    `embed` comes before all others: the vectors and scores of what is not trained here. Then in any
    order `k-100` and so on: cluster, train and score at that k; `species`, `contrastive`: those
    trainings. `random` comes after all others: it wants the chosen k. What is left, the report, is
    for `run_sweep`.
    """
    extra = [role for role in (*_APART, _SHUFFLED) if role in config.objective]
    return ("embed", *(f"k-{k}" for k in sorted(config.k)), *extra)


def run_part(config: SweepConfig, place: Workplace, part: str, progress: Progress = SILENT) -> None:
    """Do one part of a sweep; what of it is done already is skipped.

    Args:
        config: The sweep.
        place: Where to work.
        part: One of `parts_of(config)`.
        progress: Where to say how far it is.

    Raises:
        UsageError: The sweep has no such part.
        IncompleteError: A seed failed; the others are done.
    """
    if part not in parts_of(config):
        raise UsageError(f"The sweep has no part {part}; it has {', '.join(parts_of(config))}.")
    sweep = _Sweep(config, Workshop.open(config.samples, config.embed, place, progress))
    if part == "embed":
        sweep.references()
        return
    base = sweep.workshop.model(config.base, "base")
    if part.startswith("k-"):
        sweep.each_seed(base, int(part.removeprefix("k-")))
    else:
        objective = next(one for one in (*_APART, _SHUFFLED) if one == part)
        chosen = _chosen_before(sweep, base) if objective == _SHUFFLED else None
        for seed in config.seeds:
            sweep.control(base, objective, seed, chosen)
    if sweep.outcome.failures:
        raise IncompleteError(f"{_listed(sweep.outcome)} Mend the cause and run it again.")


def _chosen_before(sweep: _Sweep, base: Model) -> int | None:
    """The k chosen among the trainings that are there; of the others their own parts tell."""
    sweep.workshop.may_train = False
    for k in sorted(sweep.config.k):
        sweep.each_seed(base, k)
    sweep.workshop.may_train = True
    sweep.outcome.failures.clear()
    return sweep.chosen_k()


def load_entry(entry: Entry, workspace: Path) -> Evaluated:
    """A scored model with its scores, as the comparison wants it."""
    validation, test = (
        Scores.load(workspace / "evaluate" / key) for key in (entry.validation, entry.test)
    )
    return Evaluated(entry.name, entry.role, entry.k, entry.seed, validation, test)


def run_sweep(
    config: SweepConfig, place: Workplace, progress: Progress = SILENT, *, may_train: bool = True
) -> Path:
    """Do what of the sweep is not done yet, and write the report.

    Args:
        config: The sweep.
        place: Where to work.
        progress: Where to say how far it is.
        may_train: Whether what is not trained yet is trained; if not, it counts as failed.

    Returns:
        The path of the report's page.

    Raises:
        IncompleteError: Some k or control failed; the report of the others is written.
        SyntypeError: The data, the base or a baseline cannot be used.
    """
    workshop = Workshop.open(config.samples, config.embed, place, progress)
    workshop.may_train = may_train
    run = workshop.sweep_run(config)
    with run.working():
        if not run.finished:
            outcome = _Sweep(config, workshop).walk()
            files.write_json(run.path(_OUTCOME), plain(outcome))
            page = _write(run, workshop.dataset, config, outcome, place.workspace)
            if outcome.failures:
                raise IncompleteError(_failures(outcome, page))
            run.finish(models=len(outcome.models), report=f"{_REPORT}/index.html")
    return run.path(_REPORT) / "index.html"


def _failures(outcome: Outcome, page: Path) -> str:
    n_failed = len(outcome.failures)
    parts = "1 part" if n_failed == 1 else f"{n_failed} parts"
    return (
        f"{parts} of the sweep failed, the others are in the report {page}. "
        f"{_listed(outcome)} Mend the cause and run the same command again: it does only what is "
        "missing."
    )


def _listed(outcome: Outcome) -> str:
    return "; ".join(f"{what}: {message}" for what, message in outcome.failures)


def _write(
    run: Run, dataset: Dataset, config: SweepConfig, outcome: Outcome, workspace: Path
) -> Path:
    """Compare what was scored, and write the report."""
    folder = workspace / "cluster"
    clusterings = [(k, seed, Clusters.load(folder / key)) for k, seed, key in outcome.clusterings]
    data = compare(
        [load_entry(entry, workspace) for entry in outcome.models],
        [_quality(k, seed, one) for k, seed, one in clusterings],
        _context(dataset, config, outcome),
        config.evaluate,
    )
    row_of = {name: row for row, name in enumerate(dataset.ids)}

    def picture(name: str) -> bytes | None:
        try:
            return dataset.read(row_of[name])
        except (KeyError, DataNotFoundError):
            return None

    return write_report(data, run.path(_REPORT), picture=picture, provenance=_provenance(run))


def _quality(k: int, seed: int, clusters: Clusters) -> ClusterQuality:
    measured = clusters.quality
    scores = {**measured["scores"], "objective": clusters.objective}
    return ClusterQuality(k, seed, scores, measured["ceiling"])


def _provenance(run: Run) -> Mapping[str, Any]:
    return {**environment(), "run": run.key}


def _readable(dataset: Dataset, outcome: Outcome) -> Dataset:
    """The pictures that have vectors; the others are noted as left out."""
    if not outcome.unreadable:
        return dataset
    gone = {name for name, _ in outcome.unreadable}
    kept = dataset.select(np.array([name not in gone for name in dataset.ids], dtype=bool))
    left_out = [dataset.notes["leftOut"], left_out_notes(outcome.unreadable)]
    return replace(kept, notes={**dataset.notes, "leftOut": merge_left_out(left_out)})


def _context(whole: Dataset, config: SweepConfig, outcome: Outcome) -> Context:
    dataset = _readable(whole, outcome)
    train = dataset.where(split="train")
    modes = None
    if "mode" in train.table.column_names:
        modes = len(set(train.column("mode")) - {""}) or None
    return Context(
        title="How many clusters describe these species best?",
        n_species=len(set(train.column("species")) - {""}),
        dataset={**describe_dataset(dataset), "revision": whole.revision},
        n_modes=modes,
        stages=_stages(dataset, config, outcome),
        settings=_settings(config),
        failures=outcome.failures,
    )


def _settings(config: SweepConfig) -> Mapping[str, Any]:
    """The settings as the report shows them: of a data set's path only its last part."""
    settings = plain(config)
    settings["samples"]["data"] = [
        str(spec) if spec.startswith("synthetic:") else PurePath(spec).name
        for spec in config.samples.data
    ]
    return settings


def _stages(dataset: Dataset, config: SweepConfig, outcome: Outcome) -> list[Stage]:
    """The stages that ran, in words, for the flow chart."""
    parts = dataset.counts("split")
    n_models = len(outcome.models)
    names = sorted({entry.name for entry in outcome.models if entry.role not in _TRAINED})
    ks = sorted({k for k, _, _ in outcome.clusterings})
    n_trained = sum(entry.role in _TRAINED for entry in outcome.models)
    splits = ", ".join(f"{parts[name]:,} {name}" for name in ("train", "val", "test"))
    what = "train" if (within := config.cluster.within) == "all" else f"each {within} of train"
    how = "adapters on cached vectors" if config.train.mode == "adapt" else "image towers"
    return [
        Stage("Data", f"{len(dataset):,} pictures: {splits}"),
        Stage("Embed", f"{len(names)} encoders: {', '.join(names)}"),
        Stage("Cluster", f"spherical k-means of {what} at k = {', '.join(map(str, ks)) or 'none'}"),
        Stage("Train", f"{n_trained} {how}, {len(config.seeds)} seeds"),
        Stage("Evaluate", f"{n_models} models on val and test, {config.evaluate.protocol}"),
        Stage("Compare", f"choice on val, {config.evaluate.resamples:,} resamples of units"),
    ]


def read_outcome(folder: Path) -> Outcome:
    """What a sweep made.

    Raises:
        UsageError: The folder is not that of a sweep, or the sweep has scored nothing yet.
    """
    path = folder / _OUTCOME
    if not path.is_file():
        raise UsageError(
            f"{folder} holds no scored sweep ({_OUTCOME} is missing). Name the folder that the "
            "sweep printed, runs/sweep/..., or run the sweep again to finish it."
        )
    content = files.as_mapping(files.read_json(path), path)
    return Outcome(
        [Entry(**entry) for entry in content["models"]],
        [(k, seed, key) for k, seed, key in content["clusterings"]],
        [(what, message) for what, message in content["failures"]],
        [(name, reason) for name, reason in content["unreadable"]],
    )


def rewrite_report(folder: Path) -> Path:
    """Write the report of a sweep again from its saved scores.

    Args:
        folder: The sweep's folder.

    Raises:
        UsageError: The folder is not that of a sweep, or the sweep has scored nothing yet.
    """
    outcome = read_outcome(folder)
    stored = files.as_mapping(files.read_json(folder / "config.json"), folder / "config.json")
    config: SweepConfig = rebuild(SweepConfig, stored["sweep"])
    place = Workplace(workspace=folder.parent.parent)
    workshop = Workshop.open(config.samples, config.embed, place)
    run = Run("sweep", stored, folder)
    if workshop.dataset.revision != stored["data"]:
        raise UsageError(
            "The data have changed since this sweep, so its scores no longer describe them. Run "
            "the sweep again."
        )
    return _write(run, workshop.dataset, config, outcome, place.workspace)
