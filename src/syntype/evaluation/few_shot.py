"""Few-shot classification for a visual model alone: learn from k pictures a species, no text.

clean       learns from the training split and answers all queries, the same ones for every k and
            every draw. The classes are the species with enough training pictures for the most
            shots; queries of other species are counted apart.
published   BioCLIP's protocol: learns from k of all pictures and answers the rest, so that the
            queries differ between draws and shots. For numbers to be put beside published ones.

A query's score is the share of the draws that answered it rightly; every answer is kept. At higher
ranks the answered species speaks for its genus and family. `docs/reference/few-shot.md` has it all.

n queries, c classes, k shots, e episodes
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from syntype.configs import EvaluateConfig, FewShotConfig
from syntype.evaluation import centroids
from syntype.evaluation.classification import Classes, as_table
from syntype.evaluation.episodes import Episodes, draw_clean, draw_published
from syntype.evaluation.items import Items, check_sides
from syntype.evaluation.scores import EPISODES, RELEVANT, Scores, list_of, summarise

_NOT_ASKED = -1


def few_shot(
    query: Items,
    train: Items | None,
    config: EvaluateConfig,
    options: FewShotConfig,
    *,
    n_train: Mapping[str, int] | None = None,
    episodes: Episodes | None = None,
) -> tuple[Scores, Episodes]:
    """Score an encoder by what can be learnt from a few of its vectors.

    Args:
        query: The queries, read with all ranks; in mode `published` all pictures.
        train: What is learnt from, likewise; None in mode `published`.
        config: Ranks, resamples.
        options: Shots, draws, classifier.
        n_train: Training pictures of each species; a species it lacks has 0, None is "unknown".
        episodes: Draws to replay; None makes them.

    Returns:
        The scores, and the draws behind them.

    Raises:
        DataError: Fewer than two species have enough pictures, or draws do not fit the data.
        UsageError: Mode `published`, and a species has fewer pictures than shots.
        VectorError: The sides have vectors of different lengths.
    """
    source = query if train is None else train
    check_sides(query, source)
    if train is None:
        classes = Classes.of(source)
        episodes = episodes or draw_published(source, options.shots, options.episodes)
    else:
        classes = Classes.of(source, least=max(options.shots))
        episodes = episodes or draw_clean(
            source, classes.species, options.shots, options.episodes, options.seed
        )
    answers = {
        shots: np.stack(
            [
                _answer(query, source, episodes.support(shots, episode, source), options)
                for episode in range(options.episodes)
            ]
        )
        for shots in options.shots
    }
    table = _table(query, classes, answers, config, n_train)
    about: dict[str, Any] = {
        "task": "few-shot",
        "mode": options.mode,
        "classifier": options.classifier,
        "shots": list(options.shots),
        "episodes": options.episodes,
        "episodesKey": episodes.key,
        "nClasses": len(classes),
        "nLeftOut": len(set(query.labels["species"]) - {""} - set(classes.species)),
    }
    summary = summarise(table, config, about)
    if train is None:
        summary["published"] = _published(query, classes, answers)
    return Scores(table, summary), episodes


def _answer(
    query: Items, source: Items, support: Int[np.ndarray, "c k"], options: FewShotConfig
) -> Int[np.ndarray, "n"]:
    """The class that each query is given in one draw; -1 for what the classifier learnt from."""
    known = source.vectors[support]
    if options.classifier == "simpleshot":
        answers = centroids.simpleshot(known, query.vectors)
    elif options.classifier == "ridge":
        answers = centroids.ridge(known, query.vectors, options.penalty)
    else:
        answers = centroids.mahalanobis(known, query.vectors)
    if source is query:
        answers[support.ravel()] = _NOT_ASKED
    return answers


def _table(
    query: Items,
    classes: Classes,
    answers: Mapping[int, Int[np.ndarray, "e n"]],
    config: EvaluateConfig,
    n_train: Mapping[str, int] | None,
) -> pa.Table:
    columns: dict[str, Any] = {"id": query.ids, "unit": query.units, "taxonGroup": query.groups}
    types: dict[str, pa.DataType] = dict.fromkeys(columns, pa.string())
    for rank in config.ranks:
        names = np.array([*classes.names(rank), ""], dtype=object)
        truth = np.array(query.labels[rank], dtype=object)
        found, counts = np.unique(names[:-1], return_counts=True)
        bearing = dict(zip(found.tolist(), counts.tolist(), strict=True)) | {"": 0}
        relevant = [bearing.get(name, 0) for name in truth]
        columns |= {rank: query.labels[rank], f"{rank}{RELEVANT}": relevant}
        types |= {rank: pa.string(), f"{rank}{RELEVANT}": pa.int32()}
        for shots, codes in answers.items():
            right = (names[codes] == truth).astype(np.float32)
            right[codes == _NOT_ASKED] = np.nan
            right[:, np.array(relevant) == 0] = np.nan
            metric = f"{rank}{shots}Shot"
            columns[metric] = _mean(right)
            columns[f"{metric}{EPISODES}"] = right.T
            types[f"{metric}{EPISODES}"] = list_of(pa.float32())
    for shots, codes in answers.items():
        names = np.array([*classes.species, ""], dtype=object)
        columns[f"answers{shots}Shot"] = names[codes].T
        types[f"answers{shots}Shot"] = list_of(pa.string())
    columns["nTrain"] = [
        -1 if n_train is None or name == "" else n_train.get(name, 0)
        for name in query.labels["species"]
    ]
    types["nTrain"] = pa.int32()
    return as_table(columns, types, query)


def _mean(values: Float[np.ndarray, "e n"]) -> Float[np.ndarray, "n"]:
    """The mean over the draws that asked; NaN where none did."""
    asked = (~np.isnan(values)).sum(axis=0)
    total = np.where(np.isnan(values), 0, values).sum(axis=0)
    return np.where(asked > 0, total / np.maximum(asked, 1), np.nan).astype(np.float32)


def _published(
    query: Items, classes: Classes, answers: Mapping[int, Int[np.ndarray, "e n"]]
) -> dict[str, Any]:
    """The accuracy over the queries of each draw, its mean and population standard deviation."""
    truth = classes.codes(query.labels["species"])
    found = {}
    for shots, codes in answers.items():
        accuracies = [
            float((row == truth)[(row != _NOT_ASKED) & (truth >= 0)].mean()) for row in codes
        ]
        found[str(shots)] = {
            "mean": float(np.mean(accuracies)),
            "std": float(np.std(accuracies)),
            "accuracies": accuracies,
        }
    return found
