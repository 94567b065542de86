"""What the report of a space says in sentences. They claim no more than the intervals do."""

from syntype.report import formats
from syntype.report.data import Value
from syntype.report.space_data import (
    CombinationRow,
    LevelMatrix,
    PairCell,
    PatchCurve,
    SpaceReport,
    StepRow,
)


def above_chance(cell: PairCell, metric: str) -> bool | None:
    """Whether the interval lies above chance; None where that cannot be told."""
    value, chance = cell.metrics.get(metric), cell.chance.get(metric)
    if value is None or value.estimate is None or chance is None:
        return None
    lower = value.estimate if value.lower is None else value.lower
    return lower > chance and value.estimate > chance


def headline(report: SpaceReport) -> str:
    """The answer in a few sentences."""
    sentences = [_matrix_sentence(matrix, report) for matrix in report.matrices[:1]]
    sentences += [_step_sentence(report)] if report.step_rows else []
    sentences += [_combination_sentence(report)] if report.combinations else []
    said = " ".join(sentence for sentence in sentences if sentence)
    return said or "Nothing was scored."


def _matrix_sentence(matrix: LevelMatrix, report: SpaceReport) -> str:
    told = [above_chance(cell, report.metric) for cell in matrix.cells]
    asked = [one for one in told if one is not None]
    if not asked:
        return ""
    found = sum(asked)
    what = "its own observation" if matrix.level == "instance" else f"its {matrix.level}"
    n = "all" if found == len(asked) else "none" if not found else str(found)
    text = (
        f"In {n} of {len(asked)} pairs of modalities a query finds {what} more often than by chance"
    )
    cells = [cell for cell in matrix.cells if _estimate(cell, report.metric) is not None]
    best = max(cells, key=lambda cell: _estimate(cell, report.metric) or 0)
    share = formats.share(_estimate(best, report.metric))
    return (
        f"{text}; best is {best.query} to {best.gallery}, {share} % at {report.metric} among "
        f"{formats.count(best.n_gallery)}."
    )


def _estimate(cell: PairCell, metric: str) -> float | None:
    value = cell.metrics.get(metric)
    return None if value is None else value.estimate


def verdict(change: Value) -> str:
    """`helps`, `hurts` or `undecided`: what the interval of a change says."""
    if change.lower is not None and change.lower > 0:
        return "helps"
    if change.upper is not None and change.upper < 0:
        return "hurts"
    return "undecided"


def _step_sentence(report: SpaceReport) -> str:
    last = report.steps[-1] if report.steps else ""
    rows = [row for row in report.step_rows if last in row.changes]
    if not rows:
        return ""
    told = [verdict(row.changes[last]) for row in rows]
    counts = {name: told.count(name) for name in ("helps", "hurts", "undecided")}
    n = len(rows)
    if counts["undecided"] == n:
        return f"The last step ({last}) shows no effect on any of {_tasks(n)}."
    return (
        f"The last step ({last}) helps {counts['helps']} of {_tasks(n)}, hurts {counts['hurts']}, "
        f"and shows no effect on {counts['undecided']}."
    )


def _tasks(n: int) -> str:
    return "1 task" if n == 1 else f"{n} tasks"


def _combination_sentence(report: SpaceReport) -> str:
    rows = [
        row for row in report.combinations if not row.baseline and row.score.estimate is not None
    ]
    if not rows:
        return ""
    best = max(rows, key=lambda row: row.score.estimate or 0)
    text = (
        f"Species are named best by {best.name}: {formats.with_interval(best.score)} % "
        f"{report.zero_shot_metric}"
    )
    alone = _alone(rows, "image")
    if alone is not None and alone.n != best.n:
        text += f" on the {formats.count(best.n)} rows that have them"
    if alone is not None and alone is not best:
        text += f", where the image alone has {formats.share(alone.score.estimate)} %"
        text += f" on {formats.count(alone.n)}" if alone.n != best.n else ""
    return text + "."


def _alone(rows: list[CombinationRow], name: str) -> CombinationRow | None:
    return next((row for row in rows if row.name == name), None)


def level_title(level: str) -> str:
    """What a level of relevance asks."""
    if level == "instance":
        return "Its own observation"
    return f"Its {level}, from another unit"


def curve_sentence(curve: PatchCurve) -> str:
    """What was chosen, on what, and what the budget allowed."""
    share = "beta" if curve.name.startswith("beta") else "alpha"
    text = f"Chosen: {share} = {curve.chosen:g}, on {curve.split}"
    if curve.floors:
        every = len(curve.floors) > 2 and curve.floors.keys() >= curve.points[0].scores.keys()
        names = "each task" if every else " and ".join(sorted(curve.floors))
        text += f"; the dotted line is the least that the budget allows for {names}"
    if curve.chosen == 0:
        text += ". No patching was best, so nothing was changed"
    return text + "."


def step_verdict(row: StepRow, step: str) -> str:
    """A word for the change of a step."""
    change = row.changes.get(step)
    if change is None or change.estimate is None:
        return ""
    return {"helps": "better", "hurts": "worse", "undecided": "no effect shown"}[verdict(change)]
