"""Senses of sound scored on labelled sounds: by folds as published, and by neighbours.

Legend: n sounds, d dimensions, m senses.

`by_folds` is the protocol of sets with official folds (ESC): each fold is answered once by what
was learnt from the others, of which the next fold in order is the validation split (the penalty of
the linear probe is chosen on it, and a trained sense never sees it). `by_neighbours` asks, for sets
with a few sounds a species, whether the nearest sound of another unit is of the same species,
genus, family. Every value has an interval over units (takes of one source are one), all senses
share the draws, and each is compared with the first, the floor. A sound that cannot be decoded is
left out of all senses, and told.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.special import gammaln
from torch import Tensor, nn

from syntype.configs import EvaluateConfig, FewShotConfig, KnnConfig, ProbeConfig, Rank
from syntype.data.sounds import Sounds
from syntype.encoders.spec import parse_spec
from syntype.errors import DataError, MediaError
from syntype.evaluation.few_shot import few_shot
from syntype.evaluation.items import Items
from syntype.evaluation.knn import knn
from syntype.evaluation.linear_probe import linear_probe
from syntype.evaluation.similarity import retrieve
from syntype.evaluation.statistics import Difference, Interval, resample
from syntype.progress import SILENT, Progress
from syntype.provenance import named_seed
from syntype.senses import sound_small
from syntype.senses.sense import Sense
from syntype.senses.waves import Wave, read_wave
from syntype.taxonomy.taxon import RANKS

Vectors = Float[np.ndarray, "n d"]
Learn = Callable[[Bool[np.ndarray, "n"]], "Learnt"]
"""What is learnt from the rows of a mask: the vectors of all rows."""
_BATCH = 16
_MASKED_FRAMES, _MASKED_BANDS = 0.2, 0.15


@dataclass(frozen=True)
class Learnt:
    """The vectors of all sounds, by what was learnt from some.

    Attributes:
        vectors: Of each sound.
        answers: The class that the network's own head gives each, where it has one.
    """

    vectors: Vectors
    answers: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number of the table.

    Attributes:
        data: Name of the set.
        task: What was asked.
        sense: Of whom.
        metric: What is counted.
        interval: The mean over sounds, and its interval.
        against: The paired difference from the first sense; None for that one.
        chance: What a guess would have.
    """

    data: str
    task: str
    sense: str
    metric: str
    interval: Interval
    against: Difference | None
    chance: float

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "data": self.data,
            "task": self.task,
            "sense": self.sense,
            "metric": self.metric,
            **self.interval.as_json(),
            "difference": self.against.as_json() if self.against else None,
            "chance": self.chance,
        }


def decoded(sounds: Sounds, progress: Progress = SILENT) -> tuple[Sounds, list[Wave], list[Any]]:
    """The sounds that can be decoded, their waves, and id and reason of each of the others."""
    waves, left_out = [], []
    with progress.task("sounds", len(sounds)) as task:
        for row, id_ in enumerate(sounds.dataset.ids):
            try:
                waves.append(read_wave(sounds.dataset.read(row)))
            except MediaError as error:
                left_out.append((id_, str(error)))
            task.advance(1)
    gone = {id_ for id_, _ in left_out}
    if not waves:
        raise DataError(f"None of {len(sounds)} sounds can be decoded, the first: {left_out[0][1]}")
    return sounds.select(np.array([id_ not in gone for id_ in sounds.dataset.ids])), waves, left_out


def vectors_of(sense: Sense, waves: Sequence[Wave], progress: Progress = SILENT) -> Vectors:
    """Unit vectors of waves, a few at a time."""
    parts = []
    with progress.task(sense.name, len(waves)) as task:
        for start in range(0, len(waves), _BATCH):
            parts.append(sense.encode(waves[start : start + _BATCH]).numpy())
            task.advance(len(parts[-1]))
    return np.concatenate(parts)


def fixed(vectors: Vectors) -> Learn:
    """A sense that learns nothing from the folds."""
    return lambda _: Learnt(vectors)


def by_folds(
    sounds: Sounds,
    senses: Mapping[str, Learn],
    *,
    shots: Sequence[int] = (1, 5),
    config: EvaluateConfig | None = None,
    probe: ProbeConfig | None = None,
    progress: Progress = SILENT,
) -> list[Row]:
    """Classification by official folds: nearest neighbour, linear probe, SimpleShot.

    Args:
        sounds: Labelled, each with a fold.
        senses: Name to what gives the vectors; the first is the floor.
        shots: Sounds a class that SimpleShot sees; it also sees as many as all classes have.
        config: Resamples and confidence.
        probe: Penalties of the linear probe to choose from.
        progress: Where to show how far it is.

    Raises:
        DataError: A sound has no fold, there are fewer than three, or one cuts a unit.
    """
    config = config or EvaluateConfig(ranks=("species",), top_at=(1,))
    few = FewShotConfig(shots=tuple(shots), episodes=10)
    options = (few, probe or ProbeConfig())
    folds = _checked_folds(sounds)
    label = np.asarray(sounds.fold, dtype=object)
    values: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for sense, learn in senses.items():
        with progress.task(f"{sense}: folds", len(folds)) as task:
            for number, fold in enumerate(folds):
                test, val = label == fold, label == folds[(number + 1) % len(folds)]
                learnt = learn(~test & ~val)
                found = _answered(sounds, learnt, (test, val), options, config)
                for key, right in found.items():
                    full = values.setdefault(key, {}).setdefault(
                        sense, np.full(len(sounds), np.nan, np.float32)
                    )
                    full[test] = right
                task.advance(1)
    chance = 1 / len(set(sounds.dataset.column("species")))
    return [
        row
        for (task_name, metric), rows in values.items()
        for row in _compared(sounds, task_name, metric, rows, chance, config)
    ]


def _checked_folds(sounds: Sounds) -> list[str]:
    folds = sorted(set(sounds.fold))
    if "" in folds or len(folds) < 3:
        raise DataError(
            f"{len(folds)} folds, or sounds without one: this protocol needs a column `fold` with "
            "three values or more. Without folds, use the neighbours."
        )
    of_unit: dict[str, set[str]] = {}
    for unit, fold in zip(sounds.dataset.column("unit"), sounds.fold, strict=True):
        of_unit.setdefault(unit, set()).add(fold)
    cut = [unit for unit, found in of_unit.items() if len(found) > 1]
    if cut:
        raise DataError(
            f"{len(cut)} units lie in several folds, for example {cut[0]!r}: takes of one source "
            "must not be learnt from and asked for. Correct the folds or the units."
        )
    return folds


def _answered(
    sounds: Sounds,
    learnt: Learnt,
    masks: tuple[Bool[np.ndarray, "n"], Bool[np.ndarray, "n"]],
    options: tuple[FewShotConfig, ProbeConfig],
    config: EvaluateConfig,
) -> dict[tuple[str, str], Float[np.ndarray, "t"]]:
    """Whether each sound of a fold is answered rightly, by task and metric, in the rows' order."""
    test, val = masks
    query, known, train, valid = (
        _items(sounds, learnt.vectors, mask) for mask in (test, ~test, ~test & ~val, val)
    )
    few, penalties = options
    most = min(Counter(known.labels["species"]).values())
    every = (*(k for k in few.shots if k < most), most)
    few = replace(few, shots=every)
    nearest = knn(query, known, config, KnnConfig(neighbours=1, temperature=0.0))
    linear = linear_probe(query, train, valid, config, penalties)
    shown, _ = few_shot(query, known, config, few)
    top = "speciesTop@1"
    found = {
        ("nearest neighbour", "accuracy"): nearest.values(top),
        ("linear probe", "accuracy"): linear.values(top),
    }
    for k in every:
        word = f"SimpleShot, {k} a class" + (" (all)" if k == every[-1] else "")
        found[word, "accuracy"] = shown.values(f"species{k}Shot")
    if learnt.answers:
        truth = sounds.dataset.column("species")
        right = (np.asarray(learnt.answers, dtype=object) == truth).astype(np.float32)
        found["own head", "accuracy"] = right[test]
    return found


def by_neighbours(
    sounds: Sounds,
    senses: Mapping[str, Vectors],
    *,
    ranks: Sequence[Rank] = ("species", "genus", "family"),
    recall_at: Sequence[int] = (1, 5, 10),
    config: EvaluateConfig | None = None,
    task: str = "retrieval",
) -> list[Row]:
    """Retrieval: is a sound of another unit and the same name among the nearest?

    Args:
        sounds: Labelled.
        senses: Name to vectors; the first is the floor.
        ranks: Ranks to ask at.
        recall_at: How many of the nearest are looked at.
        config: Resamples and confidence.
        task: What the rows of the table call it.
    """
    base = config or EvaluateConfig()
    asked = EvaluateConfig(
        ranks=tuple(ranks),
        recall_at=tuple(recall_at),
        resamples=base.resamples,
        confidence=base.confidence,
        seed=base.seed,
    )
    scores = {
        name: retrieve(vectors, sounds.dataset.table, asked) for name, vectors in senses.items()
    }
    rows = []
    for rank in ranks:
        first = next(iter(scores.values()))
        relevant = np.array(first.column(f"{rank}Relevant"))
        others = len(sounds) - _unit_sizes(sounds)
        for k in recall_at:
            metric = f"{rank}Hit@{k}"
            values = {name: one.values(metric) for name, one in scores.items()}
            if all(np.isnan(value).all() for value in values.values()):
                continue
            guess = float(_chance(relevant, others, k)[relevant > 0].mean())
            rows += _compared(sounds, task, f"{rank} R@{k}", values, guess, asked)
    return rows


def _unit_sizes(sounds: Sounds) -> np.ndarray:
    _, unit, size = np.unique(
        sounds.dataset.column("unit"), return_inverse=True, return_counts=True
    )
    sizes: np.ndarray = size[unit]
    return sizes


def _chance(relevant: np.ndarray, others: np.ndarray, k: int) -> Float[np.ndarray, "n"]:
    """The probability that k drawn at random of `others` sounds hold one of the `relevant`."""

    def choices(n: np.ndarray) -> np.ndarray:
        return gammaln(n + 1) - gammaln(n - k + 1)

    left = others - relevant
    missed = np.exp(choices(np.maximum(left, k)) - choices(np.maximum(others, k)))
    return 1 - np.where(left >= k, missed, 0.0)


def _items(sounds: Sounds, vectors: Vectors, mask: Bool[np.ndarray, "n"]) -> Items:
    table = sounds.dataset.select(mask).table
    items = Items.read(vectors[mask], table, RANKS, "sounds")
    assert len(items.ids) == int(mask.sum())
    return items


def _compared(
    sounds: Sounds,
    task: str,
    metric: str,
    values: Mapping[str, np.ndarray],
    chance: float,
    config: EvaluateConfig,
) -> list[Row]:
    """A row for each sense, with its difference from the first where both have a value."""
    name = sounds.dataset.cards[0].name if sounds.dataset.cards else "sounds"
    drawn = resample(
        np.stack(list(values.values())),
        sounds.dataset.column("unit").tolist(),
        resamples=config.resamples,
        confidence=config.confidence,
        seed=config.seed,
    )
    whole = [not np.isnan(value).any() or task.startswith("retrieval") for value in values.values()]
    return [
        Row(
            data=name,
            task=task,
            sense=sense,
            metric=metric,
            interval=drawn.interval(i),
            against=drawn.difference(i, 0) if i and whole[0] and whole[i] else None,
            chance=chance,
        )
        for i, sense in enumerate(values)
    ]


@dataclass(frozen=True, kw_only=True)
class SmallTraining:
    """How `sound-small` is trained: plain cross-entropy over the classes of what it is shown.

    Attributes:
        epochs: Passes over the sounds.
        batch: Sounds a step.
        rate: Highest learning rate of AdamW, which falls to 0 along a cosine.
        decay: Weight decay.
        smoothing: Label smoothing.
        seed: Of weights, order and masks.
        ear: Options of the sense's spec, for example `seconds=5`.
    """

    epochs: int = 30
    batch: int = 32
    rate: float = 2e-3
    decay: float = 0.05
    smoothing: float = 0.1
    seed: int = 0
    ear: str = "crop=centre&windows=1"


def trained_on(
    waves: Sequence[Wave], labels: Sequence[str], config: SmallTraining, progress: Progress = SILENT
) -> Learn:
    """A `sound-small` trained from random weights on the rows of each mask it is given.

    Args:
        waves: All sounds.
        labels: Their classes.
        config: How.
        progress: Where to show how far it is.
    """
    spec = parse_spec(f"untrained:sound-small?seed={config.seed}&{config.ear}")
    sense = sound_small.load_untrained(spec, torch.device("cpu"))
    windows = torch.cat([sense.prepare([wave])[0] for wave in waves])
    names = sorted(set(labels))
    codes = torch.tensor([names.index(label) for label in labels])

    def learn(mask: Bool[np.ndarray, "n"]) -> Learnt:
        rows = torch.from_numpy(np.flatnonzero(mask))
        module, head = _train(windows[rows], codes[rows], len(names), spec, config, progress)
        with torch.inference_mode():
            vectors = torch.cat([module(part) for part in windows.split(_BATCH)])
            answers = head(vectors).argmax(dim=1).tolist()
        unit = nn.functional.normalize(vectors, dim=1)
        return Learnt(unit.numpy(), [names[code] for code in answers])

    return learn


def train_small(
    waves: Sequence[Wave], labels: Sequence[str], config: SmallTraining, progress: Progress = SILENT
) -> sound_small.SoundSmall:
    """A `sound-small` trained on all of some sounds; `sound_small.save` writes it."""
    spec = parse_spec(f"untrained:sound-small?seed={config.seed}&{config.ear}")
    sense = sound_small.load_untrained(spec, torch.device("cpu"))
    windows = torch.cat([sense.prepare([wave])[0] for wave in waves])
    names = sorted(set(labels))
    codes = torch.tensor([names.index(label) for label in labels])
    return _train(windows, codes, len(names), spec, config, progress)[0]


def _train(
    windows: Float[Tensor, "n w f m"],
    codes: Tensor,
    n_classes: int,
    spec: Any,
    config: SmallTraining,
    progress: Progress,
) -> tuple[sound_small.SoundSmall, nn.Linear]:
    module = sound_small.load_untrained(spec, torch.device("cpu")).module
    assert isinstance(module, sound_small.SoundSmall)
    source = torch.Generator().manual_seed(named_seed(config.seed, "training of sound-small"))
    head = nn.Linear(module.head.out_features, n_classes)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=source) * 0.05)
        head.bias.zero_()
    optimiser = torch.optim.AdamW(
        [*module.parameters(), *head.parameters()], lr=config.rate, weight_decay=config.decay
    )
    n_steps = config.epochs * max(1, len(windows) // config.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.rate, total_steps=n_steps, pct_start=0.1
    )
    module.train()
    with progress.task("training sound-small: steps", n_steps) as task:
        for step in range(n_steps):
            if step % max(1, len(windows) // config.batch) == 0:
                order = torch.randperm(len(windows), generator=source)
            start = step * config.batch % max(len(windows) - config.batch + 1, 1)
            rows = order[start : start + config.batch]
            logits = head(module(_varied(windows[rows], source)))
            loss = nn.functional.cross_entropy(
                logits, codes[rows], label_smoothing=config.smoothing
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            task.advance(1)
    return module.eval(), head.eval()


def _varied(windows: Float[Tensor, "n w f m"], source: torch.Generator) -> Tensor:
    """Windows turned in time, each with a stretch of frames and one of bands taken out."""
    found = windows.clone()
    n_frames, n_bands = windows.shape[2:]
    for row in range(len(found)):
        turn, frame, band = torch.rand(3, generator=source).tolist()
        found[row] = found[row].roll(int(turn * n_frames), dims=1)
        middle = found[row].mean()
        at, wide = int(frame * n_frames), round(_MASKED_FRAMES * n_frames)
        found[row, :, at : at + wide] = middle
        at, wide = int(band * n_bands), round(_MASKED_BANDS * n_bands)
        found[row, :, :, at : at + wide] = middle
    return found


def as_text(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, in per cent."""
    lines = [
        "| data | task | metric | sense | % | interval | from floor | p | chance | n (units) |",
        "| --- | --- | --- | --- | ---: | --- | --- | --- | ---: | --- |",
    ]
    for row in rows:
        one, other = row.interval, row.against
        estimate = "" if one.estimate is None else f"{100 * one.estimate:.1f}"
        gain = p = ""
        if other is not None and other.estimate is not None:
            gain = f"{100 * other.estimate:+.1f} {_ends(other)}"
            p = "" if other.p is None else f"{other.p:.3f}"
        lines.append(
            f"| {row.data} | {row.task} | {row.metric} | {row.sense} | {estimate} | {_ends(one)} | "
            f"{gain} | {p} | {100 * row.chance:.1f} | {one.n} ({one.n_units}) |"
        )
    return "\n".join(lines) + "\n"


def _ends(one: Interval) -> str:
    if one.lower is None or one.upper is None:
        return one.reason
    return f"[{100 * one.lower:.1f}, {100 * one.upper:.1f}]"
