"""What the numbers say, in sentences: the answer, the hypothesis, the methods, the limits.

A difference is called shown only if its interval excludes 0 and its p-value, corrected for its
family of comparisons, lies below 1 minus the confidence. Everything else is "no difference can be
shown", which is not the same as "no difference".
"""

from collections.abc import Mapping
from typing import Any

from syntype.report import formats
from syntype.report.data import OVERALL, Comparison, ReportData

_WEIGHT = {
    "macro": "class-balanced: the mean over species, so that rare species count like common ones",
    "micro": "the mean over pictures",
}


def _excludes_zero(one: Comparison) -> bool:
    low, high = one.difference.lower, one.difference.upper
    return low is not None and high is not None and (low > 0 or high < 0)


def is_shown(one: Comparison, confidence: float) -> bool:
    """Whether the data show a difference, after correction for the number of comparisons."""
    return _excludes_zero(one) and one.p_holm is not None and one.p_holm < 1 - confidence


def _points(one: Comparison) -> str:
    """The size of a difference whose sign is told by a word: 3.1 points [1.0, 5.2] more."""
    estimate, ends = one.difference.estimate or 0.0, (one.difference.lower, one.difference.upper)
    low, high = sorted((1 if estimate >= 0 else -1) * (end or 0.0) for end in ends)
    return (
        f"{formats.share(abs(estimate))} points [{formats.share(low)},\u00a0{formats.share(high)}] "
        f"{'more' if estimate > 0 else 'less'}"
    )


def difference(data: ReportData, one: Comparison, other: str) -> str:
    """One comparison as a clause: more, less, or nothing that can be shown."""
    if is_shown(one, data.confidence):
        return f"{_points(one)} than {other}"
    if _excludes_zero(one):
        return (
            f"{_points(one)} than {other}, which does not survive the correction for "
            f"{formats.count(one.family)} comparisons"
        )
    return (
        f"no difference to {other} can be shown "
        f"({formats.signed_with_interval(one.difference)} points)"
    )


def _against(data: ReportData, scope: str) -> str:
    """What the best clusters gain over base and best baseline, after a colon."""
    parts = []
    for question, words in (("base", "the base model"), ("baseline", "the best baseline")):
        one = data.comparison(question, scope)
        if one is not None:
            parts.append(difference(data, one, f"{words} {data.by_key[one.second].name}"))
    return f": {'; '.join(parts)}." if parts else "."


def headline(data: ReportData) -> str:
    """The answer in one sentence, for the whole set."""
    if not data.has_scores:
        scope = data.scope(OVERALL)
        return (
            f"Nothing can be scored: of {formats.count(scope.n_images)} test pictures none has "
            f"another picture of its {data.rank} to be found, so the data answer no question "
            "about clusters."
        )
    best = data.best
    if best is None:
        if not data.of_role("clusters"):
            return "No model trained on clusters is finished, so there is no answer yet."
        return (
            "No number of clusters can be chosen: the validation split has no picture with "
            f"another of its {data.rank}, and the test split is not used for choosing."
        )
    many = len(data.of_role("clusters")) > 1
    chosen = " (chosen on validation)" if many else ""
    each = ", averaged over species" if data.objective == "macro" else ""
    main = (
        f"With {formats.count(best.k)} clusters{chosen}, {_found(data)} for "
        f"{_share_of_pictures(data, best.key, OVERALL)} of the test pictures{each}"
    )
    return main + _against(data, OVERALL)


def _found(data: ReportData) -> str:
    depth = data.metric.partition("@")[2]
    if depth == "1":
        return f"the nearest picture is of the right {data.rank}"
    return f"one of the {depth} nearest pictures is of the right {data.rank}"


def _share_of_pictures(data: ReportData, model: str, scope: str) -> str:
    value = data.value(model, scope)
    return f"{formats.share(value.estimate)} % {formats.interval(value)}".strip()


def _unscored(data: ReportData, group: str) -> str:
    scope = data.scope(group)
    if scope.n_scored or scope.n_singletons < scope.n_images:
        return "no test picture can be scored."
    alone = formats.count(scope.n_singletons)
    return f"not scored: all {alone} test pictures are the only ones of their species."


def group_answers(data: ReportData) -> list[tuple[str, str]]:
    """The same for each taxon group: (group, sentence)."""
    best = data.best
    answers = []
    for group in data.groups:
        value = None if best is None else data.value(best.key, group)
        if best is None or value is None or value.estimate is None:
            answers.append((group, _unscored(data, group)))
            continue
        answers.append(
            (group, f"{_share_of_pictures(data, best.key, group)}{_against(data, group)}")
        )
    return answers


def _is_gain(data: ReportData, one: Comparison | None) -> bool:
    """Whether the chosen clusters are shown to be better in this comparison."""
    return one is not None and is_shown(one, data.confidence) and (one.difference.estimate or 0) > 0


def _unbeaten(data: ReportData) -> list[str]:
    """What the chosen clusters must beat, and are not shown to: the base, and random labels.

    Many clusters that do as well as shuffled ones, or as no training, merely did less harm than
    few; that says nothing for them.
    """
    answers = [data.comparison(question) for question in ("base", "random")]
    return [data.by_key[one.second].name for one in answers if one and not _is_gain(data, one)]


def hypothesis(data: ReportData) -> str:
    """Whether several clusters per species represented the species better than one."""
    best = data.best
    if best is None or best.k is None or data.n_species <= 0 or not data.has_scores:
        return ""
    ks = [model.k for model in data.of_role("clusters") if model.k]
    times = best.k / data.n_species
    n_species = f"{formats.count(data.n_species)} species"
    k = formats.count(best.k)
    if len(ks) == 1:
        return (
            f"Only one number of clusters was tried, k = {k} for {n_species} "
            f"({formats.number(times, 1)} per species): nothing follows about the best number."
        )
    said = f"Validation chose k = {k} of {len(ks)} values tried, with {n_species} in training"
    said += f" ({formats.number(times, 1 if times >= 1 else 2)} clusters per species). "
    one = data.comparison("count")
    if data.nearest is None:
        return said + (
            "No k near the number of species was tried, so several clusters per species cannot be "
            "compared with one."
        )
    near = data.by_key[data.nearest]
    if near.key == best.key:
        return said + (
            "That is about one cluster per species: the data do not support the hypothesis that "
            "several represent a species better."
        )
    if one is None:
        return said
    unbeaten = _unbeaten(data)
    if _is_gain(data, one) and times <= 1:
        verdict = "so fewer clusters than species did better here, against the hypothesis"
    elif _is_gain(data, one) and unbeaten:
        verdict = (
            f"but no gain over {' or '.join(unbeaten)} can be shown, so this does not support the "
            "hypothesis that several clusters represent a species better than one"
        )
    elif _is_gain(data, one):
        verdict = (
            "which supports the hypothesis that several clusters represent a species better than "
            "one"
        )
    elif is_shown(one, data.confidence):
        verdict = "so the choice of validation did not hold on test"
    else:
        verdict = "so the hypothesis is neither supported nor refuted"
    compared = difference(data, one, f"k = {formats.count(near.k)} (about one per species)")
    return f"{said}On test: {compared}, {verdict}."


def _quoted(part: Mapping[str, Any], name: str, words: str) -> list[str]:
    """`words` with the setting in place of {}, or nothing where it is not known."""
    value = part.get(name)
    return [] if value is None else [words.format(value)]


def _within(cluster: Mapping[str, Any]) -> str:
    words = {"species": " within each species", "group": " within each taxon group"}
    return words.get(cluster.get("within", "all"), "")


def _made(data: ReportData) -> str:
    cluster: Mapping[str, Any] = data.settings.get("cluster") or {}
    train: Mapping[str, Any] = data.settings.get("train") or {}
    ks = [formats.count(model.k) for model in data.of_role("clusters")]
    base = data.by_key[data.base].name if data.base else "the base encoder"
    if not ks:
        return ""
    parts = _quoted(cluster, "iterations", "at most {} iterations")
    parts += _quoted(cluster, "init", "{} initialisation")
    detail = f" ({', '.join(parts)})" if parts else ""
    tried = ks[0] if len(ks) == 1 else f"{', '.join(ks[:-1])} and {ks[-1]}"
    text = (
        f"Image vectors of {base} for the training split were clustered by spherical k-means"
        f"{_within(cluster)}{detail} with k = {tried}. For each k a model was trained to "
        "discriminate the clusters"
    )
    mode = {"adapt": "as a residual adapter on the fixed vectors", "finetune": "end to end"}
    facts = [mode[train["mode"]]] if train.get("mode") in mode else []
    facts += _quoted(train, "margin_type", "with a {} margin softmax")
    facts += _quoted(train, "margin", "margin {}")
    facts += _quoted(train, "scale", "scale {}")
    facts += _quoted(train, "class_fraction", "class fraction {}")
    facts += _quoted(train, "epochs", "{} epochs")
    facts += _quoted(train, "batch_size", "batch size {}")
    facts += _quoted(train, "lr", "peak learning rate {}")
    text += f": {', '.join(facts)}." if facts else "."
    return text + _seeds(data)


def _seeds(data: ReportData) -> str:
    n_seeds = sorted({len(model.seeds) for model in data.of_role("clusters")})
    if not n_seeds:
        return ""
    span = str(n_seeds[0]) if len(n_seeds) == 1 else f"{n_seeds[0]} to {n_seeds[-1]}"
    one = n_seeds == [1]
    return f" {span} seed{'' if one else 's'} per k{'' if one else ', scores averaged over seeds'}."


def _scored(data: ReportData) -> str:
    test = data.scope(OVERALL)
    where = (
        "the other pictures of the test split that do not belong to the same unit"
        if data.protocol == "leave-one-out"
        else "the pictures of the training split"
    )
    text = (
        f"Models were scored by cosine-similarity retrieval: for each of {_n(test.n_scored)} test "
        f"pictures ({_n(test.n_species)} {data.rank} labels, {_n(test.n_units)} independent units) "
        f"the nearest neighbours were sought among {where}. The main metric is {data.metric} at "
        f"rank {data.rank}, {_WEIGHT[data.objective]}."
    )
    if test.n_singletons:
        text += (
            f" {_n(test.n_singletons)} pictures without any other picture of their {data.rank} to "
            "be found were counted apart and never as misses."
        )
    return text


def _n(value: int) -> str:
    return formats.count(value)


def _tested(data: ReportData) -> str:
    percent = formats.share(data.confidence, 0)
    weight = "class-balanced" if data.objective == "macro" else "per-picture"
    text = (
        f"k and the best baseline were chosen by {weight} {data.metric} on the validation split; "
        "all numbers given are of the test split. "
        f"{percent} % intervals come from {_n(data.resamples)} draws of a Bayesian bootstrap over "
        "independent units (linearised, leverage-corrected and expanded to Student's t) with the "
        "list of classes held fixed; all models share the draws, so differences are paired."
    )
    families = {
        one.scope == OVERALL: one.family
        for one in data.comparisons
        if one.average == data.objective
    }
    if families:
        text += " Two-sided p-values were corrected by Holm's method"
        if True in families:
            text += f", for the {_n(families[True])} comparisons on all groups together"
        if False in families:
            text += f", and separately for the {_n(families[False])} within single groups"
        text += "."
    return text


def methods(data: ReportData) -> str:
    """A methods paragraph for a paper, from the settings."""
    return " ".join(part for part in (_made(data), _scored(data), _tested(data)) if part)


def cleaned(notes: Mapping[str, Any]) -> str:
    """What the reader left out and found, in the counts of `syntype.data.load`'s notes."""
    found = []
    left_out: Mapping[str, Any] = notes.get("leftOut") or {}
    if "total" in left_out:
        reasons = "; ".join(
            f"{reason}: {_n(rows)}" for reason, rows in left_out.get("reasons", {}).items()
        )
        found.append(f"Left out: {_n(left_out['total'])}{f' ({reasons})' if reasons else ''}.")
    copies: Mapping[str, Any] = notes.get("duplicates") or {}
    if "copies" in copies:
        found.append(f"Copies of other pictures: {_n(copies['copies'])}.")
    if "nLeaks" in copies:
        found.append(f"Copies across splits, taken out: {_n(copies['nLeaks'])}.")
    if notes.get("limit"):
        found.append(f"Left out by --taxon, --per-species and --limit: {_n(notes['limit'])}.")
    cut: Mapping[str, Any] = notes.get("unitsCut") or {}
    if cut.get("units"):
        found.append(
            f"Units that the given split cuts, so that it may flatter: {_n(cut['units'])}."
        )
    return " ".join(found)


def limitations(data: ReportData) -> list[str]:
    """What the numbers cannot say."""
    found = [
        (
            "Units were resampled, not species: intervals hold for new pictures of these species, "
            "not for new species or new places."
        ),
    ]
    n_seeds = [len(model.seeds) for model in data.of_role("clusters")]
    if n_seeds:
        fewest = min(n_seeds)
        found.append(
            "The intervals cover the choice of test pictures, but not the luck of training: there "
            "is one seed per k."
            if fewest == 1
            else f"The intervals cover the luck of training as far as {fewest} seeds per k show it"
            + ("; so few make them wide." if fewest < 5 else ".")
        )
    if len(data.comparisons) > 1:
        found.append(
            "Holm's correction covers the comparisons on the whole set as one family and those "
            "within groups as another, for one average; whoever picks among metrics, ranks and "
            "averages afterwards makes further comparisons."
        )
    if data.of_role("clusters"):
        found.append(
            "k is the best of the values tried, by one validation split: the curve shows how flat "
            "its neighbourhood is."
        )
    small = [group for group in data.groups if 0 < data.scope(group).n_units < 30]
    if small:
        found.append(
            f"Fewer than 30 independent units stand behind {', '.join(small)}: a bootstrap of so "
            "few is rough, and its intervals are rather too short."
        )
    if not data.of_role("random") and data.of_role("clusters"):
        found.append(
            "There is no control with random labels, so the gain from training at all is not "
            "separated from the gain from the clusters."
        )
    found += [
        f"Nothing could be scored at rank {rank}: no such labels, or nothing to find."
        for rank in data.missing_ranks
    ]
    unknown = data.scope(OVERALL).n_unknown
    if unknown:
        found.append(f"{_n(unknown)} test pictures have no known {data.rank} and were not scored.")
    return found
