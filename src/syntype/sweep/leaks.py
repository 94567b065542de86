"""The verb `leakage`: two sets, or two splits of one, from their specs to a saved audit."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from syntype.configs import DataConfig, EmbedConfig, LeakageConfig, Workplace
from syntype.data.dataset import Dataset
from syntype.data.load import parse_spec
from syntype.data.perceptual import hash_pictures
from syntype.evaluation.leakage import Audit, audit
from syntype.evaluation.training_sets import flags
from syntype.progress import Progress
from syntype.provenance import plain
from syntype.runs import Run
from syntype.sweep.tables import Table
from syntype.sweep.workshop import Workshop
from syntype.version import __version__


def audit_leaks(
    samples: DataConfig,
    against: Sequence[str],
    between: tuple[str, str],
    encoder: str,
    embed: EmbedConfig,
    config: LeakageConfig,
    place: Workplace,
    progress: Progress,
) -> tuple[list[str], Path, Table]:
    """Compare two sets, or two splits of one, and save what they share.

    Args:
        samples: The first set.
        against: The second set's specs; none compares two splits of the first.
        between: The two splits.
        encoder: Spec of an encoder whose vectors are compared as well, "" for none.
        embed: How pictures become vectors.
        config: When two pictures are copies.
        place: Where to work.
        progress: Where to say how far it is.

    Returns:
        Sentences, the folder of the audit, and a table of the pairs by kind and the species.
    """
    shops = [Workshop.open(samples, embed, place, progress)]
    if against:
        other = replace(samples, data=tuple(against), column=(), unit="", split="given")
        shops.append(Workshop.open(other, embed, place, progress))
        names = " + ".join(_names(shops[0].dataset)), " + ".join(_names(shops[1].dataset))
        sides = [(shop, shop.dataset) for shop in shops]
    else:
        names = between
        sides = [(shops[0], shops[0].dataset.where(split=name)) for name in between]
    vectors = None
    if encoder:
        readable = [_readable(shop, dataset, encoder) for shop, dataset in sides]
        sides = [(shop, kept) for (shop, _), (kept, _) in zip(sides, readable, strict=True)]
        vectors = (readable[0][1], readable[1][1])
    memory = place.workspace / "data" / "perceptual.parquet"
    first, second = (dataset for _, dataset in sides)
    hashes = tuple(
        hash_pictures(dataset, memory, workers=place.workers or 4, progress=progress)
        for dataset in (first, second)
    )
    benchmarks = [parse_spec(spec)[1] for spec in (*samples.data, *against)]
    found = audit(
        first,
        second,
        (hashes[0], hashes[1]),
        config,
        names=names,
        vectors=vectors,
        known=flags(encoder, benchmarks),
    )
    asked = {
        "version": __version__,
        "first": first.revision,
        "second": second.revision,
        "encoder": encoder,
        "benchmarks": benchmarks,
        "leakage": plain(config),
    }
    run = Run.at(place.workspace, "leakage", asked)
    with run.working():
        found.save(run.folder)
        run.finish(pairs=found.pairs.num_rows)
    return found.sentences(), run.folder, _table(found)


def _names(dataset: Dataset) -> list[str]:
    return sorted(card.name for card in dataset.cards)


def _readable(
    workshop: Workshop, dataset: Dataset, encoder: str
) -> tuple[Dataset, Float[np.ndarray, "n d"]]:
    """The samples that have a vector, and their vectors."""
    vectors = workshop.model(encoder, "baseline").vectors
    there = set(vectors.ids)
    kept = dataset.select(np.array([name in there for name in dataset.ids], dtype=bool))
    return kept, vectors.take(vectors.rows_of(kept.ids))


def _table(found: Audit) -> Table:
    numbers = found.as_json()
    rows = [(f"pairs, {kind}", f"{numbers['pairs'][kind]:,}", "") for kind in numbers["compared"]]
    rows.append((f"pictures of {found.second} with a pair", f"{numbers['affected']:,}", ""))
    for one in found.overlaps:
        what = f"species in common{f', {one.group}' if one.group else ''}"
        rows.append((what, f"{one.n_shared:,} of {one.n_species:,}", f"{one.n_of_shared:,}"))
    title = f"{found.first} ({found.n_first:,}) and {found.second} ({found.n_second:,})"
    return title, ("what", "number", "pictures of them"), rows
