"""The plan of a sweep, made before the work and without a network: stages, what is there, the cost.

With the data at hand their real size is used, without them the published size of the recipe. What
an encoder was when it was last loaded is remembered in the workspace, so that a plan can tell
which vectors are there without loading weights. Costs are computed, and times are estimates.
"""

from dataclasses import dataclass, replace

from syntype.configs import (
    ClusterConfig,
    Expected,
    Objective,
    SweepConfig,
    TrainConfig,
    Workplace,
)
from syntype.data.dataset import Dataset
from syntype.data.load import load_dataset, undrawn
from syntype.embeddings.embed import key_of
from syntype.embeddings.store import is_sealed
from syntype.encoders.load import describe
from syntype.errors import DataNotFoundError
from syntype.progress import SILENT, Progress
from syntype.sweep.cost import (
    H100_RATE,
    Cost,
    duration,
    kmeans_cost,
    machine_rate,
    picture_cost,
    training_cost,
    training_memory,
)
from syntype.sweep.memory import recall
from syntype.sweep.tables import Table
from syntype.sweep.workshop import Workshop


@dataclass(frozen=True)
class Step:
    """One line of the plan.

    Attributes:
        stage: embed, cluster, train, evaluate or report.
        what: Which one.
        state: `done`, `to do`, or `not known` where that needs the weights or the data.
        cost: Operations it takes.
        n_bytes: Bytes it leaves behind.
    """

    stage: str
    what: str
    state: str
    cost: Cost
    n_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """What a sweep would do.

    Attributes:
        facts: (what, found) about data and encoders.
        steps: In the order of the work.
        rate: FLOP/s of this machine's matrix product.
    """

    facts: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]
    rate: float

    def tables(self) -> list[Table]:
        """The plan as tables."""
        rows = [self._row(step) for step in self.steps]
        todo = [step for step in self.steps if step.state != "done"]
        known = [step.cost.flops for step in todo if step.cost.flops is not None]
        total, unknown = Cost(sum(known, 0.0)), len(todo) - len(known)
        rows.append(
            (
                "all to do",
                f"and {unknown} of unknown cost" if unknown else "",
                "",
                _operations(total),
                duration(total.seconds(self.rate)),
                duration(total.seconds(H100_RATE)),
                f"{sum(step.n_bytes for step in todo) / 1e6:,.0f} MB",
            )
        )
        header = (
            "stage",
            "what",
            "state",
            "TFLOP",
            "here, about",
            "one H100, computed",
            "disk",
        )
        return [("Data and encoders", ("what", "found"), self.facts), ("Plan", header, rows)]

    def _row(self, step: Step) -> tuple[str, ...]:
        return (
            step.stage,
            step.what,
            step.state,
            _operations(step.cost),
            duration(step.cost.seconds(self.rate)),
            duration(step.cost.seconds(H100_RATE)),
            f"{step.n_bytes / 1e6:,.0f} MB" if step.n_bytes else "",
        )


def _operations(cost: Cost) -> str:
    return "unknown" if cost.flops is None else f"{cost.flops / 1e12:,.2f}"


def plan_sweep(
    config: SweepConfig,
    place: Workplace,
    progress: Progress = SILENT,
    expected: Expected | None = None,
) -> Plan:
    """The plan of a sweep; nothing is computed, loaded or fetched.

    Raises:
        DataNotFoundError: The data are not here, and no published size is known.
        UnknownEncoderError: The base or a baseline has a name that nobody knows.
    """
    dataset: Dataset | None = None
    if to_draw := undrawn(config.samples, place.workspace):
        n, n_species = to_draw
        n_train = round(n * config.samples.split_fractions[0])
        found = f"to be drawn: {n:,} pictures, {n_species:,} species"
        return _Planner(config, place, None, n, n_train, n_species).plan(found)
    try:
        dataset = load_dataset(
            config.samples, workspace=place.workspace, progress=progress, workers=place.workers
        )
        n, n_train = len(dataset), dataset.counts("split")["train"]
        n_species = len(dataset.counts("species"))
        found = f"{n:,} pictures, {n_species:,} species, {n_train:,} to train on"
    except DataNotFoundError:
        if expected is None:
            raise
        n, n_species = expected.n_images, expected.n_species
        n_train = round(n * config.samples.split_fractions[0])
        found = f"not here; published: {n:,} pictures, {n_species:,} species ({expected.source})"
    return _Planner(config, place, dataset, n, n_train, n_species).plan(found)


@dataclass
class _Planner:
    """Walks a sweep without doing it."""

    config: SweepConfig
    place: Workplace
    dataset: Dataset | None
    n: int
    n_train: int
    n_species: int

    def plan(self, found: str) -> Plan:
        """The whole plan; `found` says what is known of the data."""
        facts, steps = [("data", found)], []
        base_cost, base_dim = None, 0
        for spec, role in self.config.references:
            plan = describe(spec)
            per_picture, dim = picture_cost(spec)
            dim = dim or plan.dim or 0
            if role == "base":
                base_cost, base_dim = per_picture, dim
            facts.append((f"{role} {spec}", plan.summary))
            steps.append(self._embed(spec, per_picture, dim))
        facts += self._memory()
        steps += self._per_k(base_cost, base_dim)
        steps += self._controls(base_cost, base_dim)
        n_models = len(self.config.references) + sum(step.stage == "train" for step in steps)
        similarities = 2.0 * (self.n - self.n_train) ** 2 / 2 * max(base_dim, 1)
        what = f"{n_models} models on val and test"
        workshop = self._workshop()
        over = workshop is not None and workshop.sweep_run(self.config).finished
        state = "done" if over else "to do"
        steps.append(Step("evaluate", what, state, Cost(n_models * similarities)))
        steps.append(Step("report", "figures, tables, page", state, Cost(0.0)))
        return Plan(tuple(facts), tuple(steps), machine_rate())

    def _memory(self) -> list[tuple[str, str]]:
        """What the largest training needs of a GPU's and of a CPU's memory, where towers train."""
        config = self.config.train
        if config.mode == "adapt":
            return []
        n_classes = max(self._n_clusters(max(self.config.k)), self.n_species)
        at_a_time = -(-(config.micro_batch or config.batch_size) // self.place.processes)
        facts = []
        for name, half in (("GPU, 16 bits", True), ("CPU, 32 bits", False)):
            need = training_memory(self.config.base, config, n_classes, half=half)
            if need is None:
                return [("memory to train", "not known: its architecture is not here")]
            facts.append((f"memory to train ({name})", need.in_words(at_a_time)))
        return facts

    def _vectors_key(self, spec: str) -> str | None:
        identity = recall(self.place.workspace, spec)
        if self.dataset is None or identity is None:
            return None
        return key_of(self.dataset, identity, self.config.embed.dtype).name

    def _embed(self, spec: str, per_picture: float | None, dim: int) -> Step:
        key = self._vectors_key(spec)
        state = "to do"
        if key and is_sealed(self.place.workspace / "embed" / key):
            state = "done"
        width = 2 if self.config.embed.dtype == "float16" else 4
        cost = Cost(None if per_picture is None else self.n * per_picture)
        return Step("embed", spec, state, cost, self.n * dim * width)

    def _workshop(self) -> Workshop | None:
        if self.dataset is None:
            return None
        return Workshop(self.dataset, self.config.embed, self.place)

    def _per_k(self, per_picture: float | None, dim: int) -> list[Step]:
        config, workshop = self.config, self._workshop()
        key = self._vectors_key(config.base)
        steps = []
        for k in sorted(config.k):
            for seed in config.seeds:
                cluster = ClusterConfig.of(replace(config.cluster, seed=seed), k)
                train = replace(config.train, seed=seed)
                clustered = trained = "to do"
                if workshop is not None and key is not None:
                    run = workshop.cluster_run(key, cluster)
                    clustered = "done" if run.finished else "to do"
                    follows = workshop.train_run(key, "clusters", run.key, train)
                    trained = "done" if follows.finished else "to do"
                what = f"k = {k:,}, seed {seed}"
                if cluster.within != "all":
                    what += f": for each {cluster.within}"
                elif k > self.n_train:
                    what += f": will fail, only {self.n_train:,} pictures to train on"
                cost = kmeans_cost(self.n_train, dim, k, cluster.iterations)
                n_clusters = self._n_clusters(k)
                steps.append(Step("cluster", what, clustered, cost, n_clusters * dim * 4))
                steps.append(self._train(what, trained, n_clusters, train, per_picture, dim))
        return steps

    def _n_clusters(self, k: int) -> int:
        """The number of clusters that a k comes to, at most."""
        if self.config.cluster.within == "all":
            return k
        groups = self.n_species
        if self.config.cluster.within == "group":
            groups = 1 if self.dataset is None else len(self.dataset.counts("taxonGroup"))
        return min(k * groups, self.n_train)

    def _controls(self, per_picture: float | None, dim: int) -> list[Step]:
        steps = []
        names = {
            "species": ("species labels", self.n_species),
            "contrastive": ("contrastive", 1),
            "random": ("random labels", 0),
        }
        controls: tuple[Objective, ...] = ("species", "contrastive", "random")
        for objective in controls:
            if objective not in self.config.objective:
                continue
            name, k = names[objective]
            for seed in self.config.seeds:
                train = replace(self.config.train, seed=seed)
                what = f"{name}, seed {seed}"
                size = k or self._n_clusters(max(self.config.k))
                state = self._control_state(objective, train)
                steps.append(self._train(what, state, size, train, per_picture, dim))
        return steps

    def _control_state(self, objective: Objective, train: TrainConfig) -> str:
        """Random labels are those of the chosen k, which a plan does not know: any k will do."""
        workshop, key = self._workshop(), self._vectors_key(self.config.base)
        if workshop is None or key is None:
            return "to do"
        targets: list[str | None] = [None]
        if objective == "random":
            cluster = replace(self.config.cluster, seed=train.seed)
            targets = [
                workshop.cluster_run(key, ClusterConfig.of(cluster, k)).key for k in self.config.k
            ]
        runs = [workshop.train_run(key, objective, target, train) for target in targets]
        return "done" if any(run.finished for run in runs) else "to do"

    def _train(
        self, what: str, state: str, k: int, config: TrainConfig, per: float | None, dim: int
    ) -> Step:
        n_bytes = 8 * dim * config.hidden if config.mode == "adapt" else 0
        n_bytes += self.n * dim * (2 if self.config.embed.dtype == "float16" else 4)
        cost = training_cost(self.n_train, dim, k, config, per)
        return Step("train", what, state, cost, n_bytes)
