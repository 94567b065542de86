"""From the scores of a binding to the parts of its page: steps, combinations, curves, words.

Legend: n observations of the report split.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from syntype.configs import DataConfig
from syntype.configs.bind import BindConfig, PatchConfig
from syntype.evaluation.combined import Combined
from syntype.report.data import Value
from syntype.report.space_data import (
    CombinationRow,
    CurvePoint,
    GainRow,
    PatchCurve,
    StepRow,
)
from syntype.report.space_from import combination_rows, gain_rows, value
from syntype.report.space_words import verdict
from syntype.sweep.spaces_exam import Exam
from syntype.sweep.spaces_scores import (
    EXPERTS,
    LEARNED,
    STEPS,
    WHATEVER,
    Task,
    in_order,
    shown,
)

FEW_ROWS, FEW_UNITS = 100, 30
"""Below these an interval is wide whatever is measured."""
_NAMES = {
    "locked": "Locked tuning",
    "unlocked": "Unlocked tuning",
    "patched": "Patching",
}


def step_rows(exam: Exam, tasks: Sequence[Task]) -> list[StepRow]:
    """Each task's scores, and what each step has more than the one before it."""
    found = []
    for task in tasks:
        steps = [step for step in STEPS if step in task.values]
        changes = {}
        for before, step in pairwise(steps):
            changes[step] = value(exam.difference(task.values[step], task.values[before]))
        scores = {step: _score(exam, task.values[step]) for step in steps}
        found.append(StepRow(task=task.name, scores=scores, changes=changes))
    return found


def _score(exam: Exam, values: Float[np.ndarray, "n"]) -> Value:
    """A mean with its interval; chance has none."""
    return value(exam.interval(values))


def step_notes(exam: Exam, tasks: Sequence[Task], rows: Sequence[StepRow]) -> list[str]:
    """What each step did, in a sentence each; where it did nothing, that is said."""
    about = (
        "Before stands for the picture alone where a task has one, and for chance where a sense is "
        "asked alone; finding the own picture is scored by the mean reciprocal rank. All scores "
        "are of the report split, on which nothing was chosen."
    )
    found = [about]
    for step, name in _NAMES.items():
        told = [row.changes[step] for row in rows if step in row.changes]
        if told:
            against = "before it" if step == "locked" else "the step before"
            found.append(f"{name}, against {against}: {_counted(told)}")
    whole = [
        value(exam.difference(task.values["patched"], task.values["locked"]))
        for task in tasks
        if {"patched", "locked"} <= task.values.keys()
    ]
    if whole:
        found.append(f"Unlocking and patching together, against locked tuning: {_counted(whole)}")
    return found


def _counted(changes: Sequence[Value]) -> str:
    """How many tasks a change helps, hurts, or leaves as they are."""
    n = len(changes)
    told = [verdict(one) for one in changes]
    counts = {kind: told.count(kind) for kind in ("helps", "hurts", "undecided")}
    if counts["undecided"] == n:
        return f"no effect is shown on any of {n} tasks."
    return (
        f"of {n} tasks it helps {counts['helps']}, hurts {counts['hurts']}, and shows no effect on "
        f"{counts['undecided']}."
    )


def combination_parts(
    combined: Combined, senses: Sequence[str]
) -> tuple[list[CombinationRow], list[GainRow], list[str]]:
    """The combinations to show, what they gain, and where a sense hurts."""
    words = short_names(senses)
    wanted = {" + ".join(one) for one in [*shown(senses), WHATEVER]}
    ways = {one.name for one in combined.scored if one.answers.baseline in (LEARNED, EXPERTS)}
    few = {1, 2, len(senses)}  # ways of fusing are shown for these numbers of senses
    baselines = {
        one.name
        for one in combined.scored
        if one.answers.baseline and (one.name not in ways or len(one.answers.modalities) in few)
    }
    rows = [
        replace(
            row, name=shortened(row.name, words), baseline=row.baseline and row.name not in ways
        )
        for row in combination_rows(combined)
        if row.name in wanted | baselines
    ]
    kept = [
        place
        for place, one in enumerate(combined.gains)
        if one.name in wanted
        and one.without in wanted | baselines
        and (one.added != "image" or len(one.name.split(" + ")) > 2)
    ]
    every = [
        _gain(row, words, combined.gains[place].without in ways)
        for place, row in enumerate(gain_rows(combined))
    ]
    warnings = [combined.gains[place].warning for place in kept]
    return rows, [every[place] for place in kept], [one for one in warnings if one]


def _gain(row: GainRow, words: Mapping[str, str], is_way: bool) -> GainRow:
    """A gain as the page says it: another way of fusing against the published one, not reversed."""
    row = replace(row, added=shortened(row.added, words), without=shortened(row.without, words))
    if not is_way:
        return row
    ends = (row.change.estimate, row.change.upper, row.change.lower)
    change = Value(*(None if end is None else 0.0 - end for end in ends))
    way = row.without.rpartition(" (")[2].rstrip(")")
    return GainRow(added=way, without=row.added, change=change, verdict=verdict(change))


def short_names(senses: Sequence[str]) -> dict[str, str]:
    """What the page calls combinations of so many senses that they need to be short."""
    every = in_order(senses)
    if len(every) < 4:
        return {}
    found = {" + ".join(every): "all senses"}
    for left in every:
        found[" + ".join(one for one in every if one != left)] = f"all but {left}"
    return found


def shortened(name: str, words: Mapping[str, str]) -> str:
    """A combination as the page calls it: encoders without their options."""
    senses, bracket, rest = name.partition(" (")
    how, options, _ = rest.partition("?")
    return words.get(senses, senses) + bracket + how + (")" if options else "")


def patch_curves(curves: Mapping[str, Any], config: PatchConfig) -> list[PatchCurve]:
    """The curves of the selection split, with what was chosen and what the budget allowed."""
    found = []
    for name, curve in curves.get("curves", {}).items():
        scores, choice = curve["scores"], curves["choices"][name]
        kind, _, of = name.partition(" ")
        sense = "all senses together" if of == "together" else of
        what = (
            f"alpha of the image tower, after unlocked tuning with {sense}"
            if kind == "alpha"
            else f"beta of the {sense} encoder, the image tower being patched"
        )
        target = _target(name, scores, config)
        found.append(
            PatchCurve(
                name=what,
                points=[
                    CurvePoint(
                        alpha=share,
                        scores={task: Value(values[place]) for task, values in scores.items()},
                    )
                    for place, share in enumerate(curve["shares"])
                ],
                chosen=choice["share"],
                floors={task: values[0] - config.budget for task, values in scores.items()},
                patching_task=target,
                split="the selection split (val)",
            )
        )
    return found


def _target(name: str, scores: Mapping[str, Any], config: PatchConfig) -> str:
    """The task whose panel comes first: what was chosen by, where that is one task."""
    kind, _, sense = name.partition(" ")
    if kind == "beta" and f"image+{sense}" in scores:
        return f"image+{sense}"
    if kind == "alpha" and config.target == "image" and "image" in scores:
        return "image"
    return next(iter(scores))


def cautions(
    exam: Exam, record: Mapping[str, Any], curves: Mapping[str, Any], names: bool
) -> list[str]:
    """What the reader must know first."""
    found = []
    n, n_units = len(exam), len(set(exam.units))
    if n < FEW_ROWS or n_units < FEW_UNITS:
        found.append(
            f"The report split has {n} observations of {n_units} units: all numbers here are of "
            "few queries, and intervals are wide or missing. Take a larger set before you "
            "believe them."
        )
    shared = set(exam.training.column("unit").tolist()) & set(exam.units)
    if shared:
        found.append(
            f"{len(shared)} units of the report split are in the training split too, as published "
            "splits have it; scores are better than they would be on new units."
        )
    if not names:
        found.append(
            "The binder reads no names, so no species can be named without examples: only searches "
            "across senses are scored."
        )
    outside = [one for one in curves.get("rechecked", []) if not one["within"]]
    found += [
        f"After all patches, {one['task']} is at {one['after']:.3f} on the selection split, from "
        f"{one['before']:.3f}: more is lost than the budget allows."
        for one in outside
    ]
    return found + _hurting([str(one) for one in record.get("warnings", [])])


def _hurting(warnings: Sequence[str]) -> list[str]:
    """The binding's own warnings in one sentence: it looked at every combination."""
    surely = [one for one in warnings if " hurts:" in one]
    if len(surely) < 2:
        return surely
    senses = Counter(one.removeprefix("Adding ").partition(" ")[0] for one in surely)
    told = ", ".join(f"{sense} {n}" for sense, n in senses.most_common())
    return [
        f"{surely[0]} So it is in {len(surely)} combinations there ({told}); fusion.json has all."
    ]


def few_queries(combined: Combined) -> list[str]:
    """Which combinations answered few rows."""
    every = [one for one in combined.scored if not one.answers.baseline]
    few = [one for one in every if one.n < FEW_ROWS]
    if not few or len(few) == len(every):  # the caution about the split says it
        return []
    least = min(few, key=lambda one: one.n)
    told = (
        f"{len(few)} of the combinations could answer fewer than {FEW_ROWS} rows (the fewest: "
        f"{least.name}, {least.n}); their intervals are wide."
    )
    return [told]


def sureness_note(surer: str, less_sure: str) -> str:
    """What the entropy of answers is worth, in words."""
    return (
        "The product of experts says how sure it is: of the half of the answers with the least "
        f"entropy, {surer} % are right; of the other half, {less_sure} %."
    )


def command(asked: Mapping[str, Any]) -> str:
    """The command line that makes a binding again."""
    words = ["syntype bind", f"--data {_quoted(asked['data'])}"]
    words.append(f"--encoder {_quoted(asked['encoder'])}")
    words += [f"--{sense} {_quoted(spec)}" for sense, spec in asked["senses"].items()]
    words += [f"--compare {_quoted(one)}" for one in asked["compare"]]
    words += _options("bind", asked["config"], BindConfig())
    words += _options("patch", asked["patching"], PatchConfig())
    if asked["samples"]:
        words += _options("", asked["samples"], DataConfig(data=(asked["data"],)))
    return " ".join(words)


def _options(group: str, given: Mapping[str, Any], default: Any) -> list[str]:
    """The options that differ from their defaults."""
    found = []
    for one in fields(default):
        usual = getattr(default, one.name)
        usual = list(usual) if isinstance(usual, tuple) else usual
        if one.name == "data" or one.name not in given or given[one.name] == usual:
            continue
        name = one.name.replace("_", "-")
        option = f"--{group}.{name}" if group else f"--{name}"
        values = given[one.name]
        if isinstance(values, bool):
            found.append(option if values else option.replace(name, f"no-{name}"))
        elif isinstance(values, list):
            found += [f"{option} {_quoted(str(part))}" for part in values]
        else:
            found.append(f"{option} {_quoted(str(values))}")
    return found


def _quoted(text: str) -> str:
    plain = all(c.isalnum() or c in "-_./:=," for c in text)
    return text if plain else f"'{text}'"
