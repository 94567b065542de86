"""What a comparison of any models on any sets says, in sentences: answer, gaps, methods."""

from collections.abc import Sequence

from syntype.report import formats
from syntype.report.versus_data import Column, Pair, Versus
from syntype.report.versus_tables import estimate, head, interval

_NAMED = 4  # names in a sentence


def listed(names: Sequence[str]) -> str:
    """Names joined by commas and "and"; of many the first few and how many more."""
    if len(names) > _NAMED + 1:
        names = [*names[:_NAMED], f"{formats.count(len(names) - _NAMED)} more"]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def answer(versus: Versus) -> str:
    """Who is best, and who cannot be told from it."""
    contested = versus.contested
    n_models = len(versus.models)
    if not versus.scored:
        return "Nothing can be scored: no query of any set has anything to be found."
    if n_models == 1:
        return f"{versus.models[0]} stands alone: with a second model there is something to tell."
    if not contested:
        return "No two models were evaluated on the same set and task, so none can be compared."
    if len(contested) == 1:
        return _in_column(versus, contested[0])
    most = max(one.n_top for one in versus.standings)
    leaders = [one.model for one in versus.standings if one.n_top == most]
    verb = "is" if len(leaders) == 1 else "are each"
    text = (
        f"Of {formats.count(n_models)} models, {listed(leaders)} {verb} the best, or not told "
        f"apart from the best, in {formats.count(most)} of {formats.count(len(contested))} columns."
    )
    first = versus.standings[0]
    if first.mean is not None:
        text += f" The highest mean is that of {first.model}: {formats.share(first.mean)} %."
    return text


def _in_column(versus: Versus, column: Column) -> str:
    """The answer where there is one column."""
    best, tied = versus.top(column)
    n_models = sum(versus.cell(column, model) is not None for model in versus.models)
    cell = versus.cell(column, best[0])
    assert cell is not None
    unit = " %" if column.better == "higher" else ""
    text = (
        f"Of {formats.count(n_models)} models on {head(column)}, the best "
        f"{'is' if len(best) == 1 else 'are'} {listed(best)} with {estimate(cell.value, column)}"
        f"{unit} {interval(cell.value, column)}".rstrip()
    )
    if tied:
        return f"{text}; {listed(tied)} cannot be told from that."
    if len(best) == n_models:
        return f"{text}: all are equal."
    return f"{text}; every other model is shown to be worse."


def gaps(versus: Versus) -> list[str]:
    """Why a number that one might look for is not there."""
    sentences = [
        f"Nothing can be scored in {head(column)}: no query has anything to be found."
        for column in versus.columns
        if not column.n_scored
    ]
    names = {one.key: head(one) for one in versus.columns}
    sentences += [
        f"{one.model} has no mean and no mean rank: it was not evaluated in "
        f"{listed([names[key] for key in one.missing])}."
        for one in versus.standings
        if one.missing
    ]
    if len({one.better for one in versus.scored}) > 1:
        sentences.append("No means are shown: shares and distances have no common unit.")
    elif any(one.better == "lower" for one in versus.scored):
        sentences.append("No means are shown: distances of different sets have no common scale.")
    return sentences


def disagreements(versus: Versus) -> list[Pair]:
    """The pairs for which the bootstrap and the permutation test come to different answers."""
    return [one for one in versus.pairs if one.disagree]


def check(versus: Versus) -> str:
    """How far the permutation test bears the bootstrap out."""
    n_pairs, n_other = len(versus.pairs), len(disagreements(versus))
    level = f"{1 - versus.confidence:.3g}"
    if not n_pairs:
        return ""
    if not n_other:
        return (
            f"As a check, a permutation test of the units was made of all {formats.count(n_pairs)} "
            f"pairs. It lies on the same side of {level} as the bootstrap in each of them."
        )
    return (
        f"As a check, a permutation test of the units was made of all {formats.count(n_pairs)} "
        f"pairs. In {formats.count(n_other)} of them it lies on the other side of {level} than the "
        "bootstrap (both before correction): take these as undecided."
    )


def methods(versus: Versus) -> str:
    """A paragraph for a paper."""
    percent = formats.share(versus.confidence, 0)
    weight = (
        "class-balanced (the mean over classes, so that rare species count like common ones)"
        if versus.average == "macro"
        else "means over queries"
    )
    draws = sorted({versus.resamples, *(one.resamples for one in versus.columns)})
    most = max(one.family for one in versus.columns)
    text = (
        f"Values are {weight}, in per cent unless they are distances. Brackets are {percent} % "
        f"intervals from a Bayesian bootstrap over independent units ({formats.count(draws[0])} "
        "draws), linearised, corrected for leverage and expanded by t/z. In each column all models "
        "answered the same queries and were resampled with the same draws, so that differences are "
        "paired. "
    )
    if most:
        upper = "" if len(draws) == 1 else f" to {formats.count(draws[-1])}"
        text += (
            f"All pairs of models in a column ({formats.count(most)} at most) were tested with "
            f"{formats.count(draws[0])}{upper} draws, and the p-values of the column corrected "
            "together by Holm's method. A model is tied with the best of its column if its "
            f"corrected p-value is not below {1 - versus.confidence:.3g}. "
        )
    if any(one.task == "few-shot" for one in versus.columns):
        text += (
            "Few-shot draws enter as replicates, so that their spread is part of the intervals. "
        )
    if len(versus.scored) > 1:
        text += (
            "The mean and the mean rank weigh all columns alike. They have no interval: these "
            "sets are no sample of sets. "
        )
    return (text + check(versus)).strip()
