"""Naming species from any senses, and what each step of a binding did: scores of the report split.

Legend: n observations of the report split, k rows that an answer is for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from syntype.binding.experts import Experts, entropy
from syntype.binding.fusion import fuse
from syntype.data.observations import MODALITIES
from syntype.evaluation.combined import (
    Answers,
    answers_by_place,
    answers_by_probabilities,
    answers_by_vectors,
    shuffled,
)
from syntype.evaluation.cross_matrix import Views
from syntype.evaluation.cross_modal import retrieve_across
from syntype.sweep.spaces_exam import SPLIT, Exam, Seen

WHATEVER = ("whatever is there",)
"""The combination of all senses that a row has."""
LEARNED, EXPERTS = "learned weights", "product of experts"
IMAGEBIND, BIOCLIP = "locked only, as ImageBind", "nothing bound, as BioCLIP"
NEAREST = "no encoder, nearest training points"
STEPS = ("before", "locked", "unlocked", "patched")


def in_order(senses: Sequence[str]) -> tuple[str, ...]:
    """Senses in the order in which tables show them."""
    return tuple(name for name in MODALITIES if name in senses)


def shown(senses: Sequence[str]) -> list[tuple[str, ...]]:
    """The combinations that the page shows; the saved scores hold all of them."""
    every = in_order(senses)
    found: list[tuple[str, ...]] = [(name,) for name in every]
    others = [name for name in every if name != "image"]
    if "image" in every:
        found += [("image", name) for name in others]
    if len(others) > 2:
        found += [tuple(n for n in every if n != left) for left in every]
    return list(dict.fromkeys([*found, every]))


def answers_of(
    exam: Exam, last: Seen, seen: Sequence[Seen], fusion: Mapping[str, Any]
) -> list[Answers]:
    """All answers with species: combinations, ways of fusing, baselines, and other recipes.

    Args:
        exam: Who is asked.
        last: The space that the binding ends with.
        seen: All spaces.
        fusion: What was fitted on the selection split.
    """
    assert last.names is not None
    found = []
    for size in range(1, len(last.senses) + 1):
        found += [_published(last, one) for one in combinations(in_order(last.senses), size)]
    several = [one for one in shown(last.senses) if len(one) > 1]
    for one in several:
        found += _fitted(last, one, fusion)
    found += _shuffled(exam, last)
    found += _nearest(exam, last)
    found += [answer for other in seen for answer in _recipe(other, several)]
    found.append(_whatever(exam, last))
    return [one for one in found if len(one.rows)]


def _published(seen: Seen, senses: tuple[str, ...], baseline: str = "") -> Answers:
    """By the normalised sum."""
    assert seen.names is not None
    rows, parts = seen.together(senses)
    first = np.zeros((0, 1), dtype=np.int64)
    if len(rows):
        first = answers_by_vectors(fuse(parts), seen.names)
    return Answers(senses, rows, first, baseline)


def _fitted(seen: Seen, senses: tuple[str, ...], fusion: Mapping[str, Any]) -> Iterator[Answers]:
    """By learned weights, and as experts, where those were fitted with these senses."""
    assert seen.names is not None
    rows, parts = seen.together(senses)
    if not len(rows):
        return
    learned = (fusion.get("weights") or {}).get("weights", {})
    if learned.keys() >= set(senses) and max(learned[name] for name in senses) > 0:
        fused = fuse(parts, {name: learned[name] for name in senses})
        yield Answers(senses, rows, answers_by_vectors(fused, seen.names), LEARNED)
    fitted = fusion.get("experts") or {}
    if fitted.get("scales", {}).keys() >= set(senses):
        experts = Experts(fitted["scales"], fitted["dependence"])
        likely = np.exp(experts.log_probabilities(parts, seen.names))
        yield Answers(senses, rows, answers_by_probabilities(likely), EXPERTS)


def _shuffled(exam: Exam, seen: Seen) -> Iterator[Answers]:
    """Each sense beside the picture, given to another row."""
    assert seen.names is not None
    if "image" not in seen.senses:
        return
    for name in (one for one in in_order(seen.senses) if one != "image"):
        rows, parts = seen.together(("image", name))
        if len(rows) < 2:
            continue
        ids = [exam.observations.ids[row] for row in rows.tolist()]
        place = shuffled(ids, [SPLIT] * len(ids), modality=name, seed=exam.config.seed)
        fused = fuse({"image": parts["image"], name: parts[name][place]})
        first = answers_by_vectors(fused, seen.names)
        yield Answers(("image", name), rows, first, f"{name} shuffled")


def _nearest(exam: Exam, seen: Seen) -> Iterator[Answers]:
    """What training points around bear."""
    training = exam.training
    if "place" not in seen.senses or not training.has("place").any():
        return
    rows = seen.rows["place"]
    first = answers_by_place(
        exam.classes,
        training.column("species").tolist(),
        training_latitude=training.latitude,
        training_longitude=training.longitude,
        latitude=exam.observations.latitude[rows],
        longitude=exam.observations.longitude[rows],
    )
    yield Answers(("place",), rows, first, NEAREST)


def compared_sense(name: str) -> str:
    """The sense of a space that another encoder was bound for, from its name."""
    return name.removeprefix("locked, ").partition(" by ")[0]


def _recipe(seen: Seen, several: Sequence[tuple[str, ...]]) -> Iterator[Answers]:
    """Other recipes in the same harness: spaces that are there to compare with."""
    if seen.made.role == "image only" and "image" in seen.senses:
        yield _published(seen, ("image",), BIOCLIP)
    elif seen.made.role == "locked":
        for senses in several:
            if len(senses) == 2 or senses == in_order(seen.senses):
                yield _published(seen, senses, IMAGEBIND)
    elif seen.made.role == "compared":
        sense = compared_sense(seen.made.name)
        for senses in ((sense,), ("image", sense)):
            if set(senses) <= set(seen.senses):
                yield _published(seen, senses, seen.made.name)


def _whatever(exam: Exam, seen: Seen) -> Answers:
    """Each row by all the senses that it has."""
    assert seen.names is not None
    spread = seen.spread(in_order(seen.senses), len(exam))
    some = np.logical_or.reduce([np.isfinite(one).all(axis=1) for one in spread.values()])
    rows = np.flatnonzero(some)
    fused = fuse({name: one[rows] for name, one in spread.items()})
    return Answers(WHATEVER, rows, answers_by_vectors(fused, seen.names))


@dataclass(frozen=True)
class Sureness:
    """Whether the product of experts knows when it is right: all senses that a row has.

    Attributes:
        surer: Right or not, of the half with the least entropy; NaN for the other half.
        less_sure: Likewise of the other half.
    """

    surer: Float[np.ndarray, "n"]
    less_sure: Float[np.ndarray, "n"]


def sureness(exam: Exam, seen: Seen, fusion: Mapping[str, Any]) -> Sureness | None:
    """The answers in two halves by their entropy; None where no experts were fitted."""
    fitted = fusion.get("experts") or {}
    senses = [name for name in in_order(seen.senses) if name in fitted.get("scales", {})]
    if seen.names is None or not senses:
        return None
    spread = seen.spread(senses, len(exam))
    some = np.logical_or.reduce([np.isfinite(one).all(axis=1) for one in spread.values()])
    rows = np.flatnonzero(some)
    experts = Experts(fitted["scales"], fitted["dependence"])
    likely = experts.log_probabilities(
        {name: one[rows] for name, one in spread.items()}, seen.names
    )
    order = rows[np.argsort(entropy(likely), kind="stable")]
    hits = exam.hits(Answers(WHATEVER, rows, answers_by_probabilities(np.exp(likely))))
    halves = []
    for part in (order[: len(order) // 2], order[len(order) // 2 :]):
        values = np.full(len(exam), np.nan)
        values[part] = hits[part]
        halves.append(values)
    return Sureness(*halves)


@dataclass(frozen=True)
class Task:
    """One question at each step that can be asked it.

    Attributes:
        name: What is asked.
        values: Of each step, a score for each row; NaN where it is not asked.
    """

    name: str
    values: Mapping[str, Float[np.ndarray, "n"]]


def tasks_of(exam: Exam, seen: Sequence[Seen]) -> list[Task]:
    """What each step is judged by: naming species, and finding the own picture.

    `before` is the picture alone where something joins it, and chance where a sense is alone.
    Where each sense was unlocked by itself, its tasks are those of its own space.
    """
    by_role: dict[str, list[Seen]] = {}
    for one in seen:
        by_role.setdefault(one.made.role, []).append(one)
    senses = in_order([name for one in by_role.get("locked", []) for name in one.senses])
    unlocked = {_sense_of(one): one for one in by_role.get("unlocked", [])}
    single: dict[str, Seen] = {
        role: by_role[role][0] for role in ("locked", "patched") if role in by_role
    }
    found = _picture_tasks(exam, by_role, unlocked, single)
    for name in (one for one in senses if one != "image"):
        spaces = dict(single)
        if (own := unlocked.get(name, unlocked.get(""))) is not None:
            spaces["unlocked"] = own
        found += _sense_tasks(exam, name, spaces)
    return [task for task in found if len(task.values) > 1]


def _sense_of(seen: Seen) -> str:
    """The sense that a space was unlocked with, "" for all."""
    return seen.made.name.removeprefix("unlocked").removeprefix(", ")


def _picture_tasks(
    exam: Exam,
    by_role: Mapping[str, Sequence[Seen]],
    unlocked: Mapping[str, Seen],
    single: Mapping[str, Seen],
) -> list[Task]:
    """Naming species from pictures: what unlocking may spoil."""
    start = by_role["image only"][0]
    if start.names is None or "image" not in start.senses:
        return []

    def named(seen: Seen) -> Float[np.ndarray, "n"]:
        return exam.hits(_published(seen, ("image",)))

    ends = {role: named(one) for role, one in single.items() if role == "patched"}
    tasks = []
    for sense, own in unlocked.items():
        title = f"image, tuned with {sense or 'all senses'}"
        tasks.append(Task(title, {"before": named(start), "unlocked": named(own), **ends}))
    return tasks or [Task("image names species", {"before": named(start), **ends})]


def _sense_tasks(exam: Exam, name: str, spaces: Mapping[str, Seen]) -> list[Task]:
    """What depends on one sense."""
    asked: dict[str, dict[str, np.ndarray]] = {}
    steps = [step for step in STEPS if step in spaces and name in spaces[step].senses]
    for step in steps:
        seen = spaces[step]
        has_picture = "image" in seen.senses
        if seen.names is not None:
            alone = exam.hits(_published(seen, (name,)))
            values = asked.setdefault(f"{name} names species", {})
            values.setdefault("before", np.where(np.isnan(alone), np.nan, 1 / len(exam.classes)))
            values[step] = alone
        if seen.names is not None and has_picture:
            both = exam.hits(_published(seen, ("image", name)))
            values = asked.setdefault(f"image + {name} names species", {})
            picture = exam.hits(_published(seen, ("image",)))
            values.setdefault("before", np.where(np.isnan(both), np.nan, picture))
            values[step] = both
        if has_picture:
            found, chance = _own_picture(exam, seen, name)
            values = asked.setdefault(f"{name} finds its picture", {})
            values.setdefault("before", chance)
            values[step] = found
    return [Task(title, values) for title, values in asked.items()]


def _own_picture(
    exam: Exam, seen: Seen, name: str
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """The reciprocal rank of each row's own picture, and what chance would give."""
    items = views_of(exam, seen, (name, "image")).items
    made = retrieve_across(
        items[name], items["image"], names=(name, "image"), levels=("instance",), recall_at=(1,)
    )
    row_of = {id_: row for row, id_ in enumerate(exam.observations.ids)}
    rows = [row_of[id_] for id_ in made.table.column("id").to_pylist()]
    available = made.values("instanceAvailable").astype(int)
    harmonic = np.cumsum(1 / np.arange(1, max(int(available.max()), 1) + 1))
    found, chance = np.full(len(exam), np.nan), np.full(len(exam), np.nan)
    found[rows] = made.values("instanceAveragePrecision")
    chance[rows] = harmonic[np.maximum(available, 1) - 1] / np.maximum(available, 1)
    return found, np.where(np.isnan(found), np.nan, chance)


def views_of(exam: Exam, seen: Seen, modalities: Sequence[str] | None = None) -> Views:
    """The vectors of a space as the matrix takes them."""
    ids = np.array(exam.observations.ids, dtype=object)
    wanted = seen.rows if modalities is None else modalities
    return Views.of(
        exam.observations.table,
        {name: (ids[seen.rows[name]].tolist(), seen.vectors[name]) for name in wanted},
    )
