"""The verb `data curate`: catalogues, vectors where there are any, to a curated catalogue.

Curation knows no vectors and the store no catalogues; here the two meet.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from syntype.configs import Workplace
from syntype.configs.curate import CurateConfig
from syntype.data.catalogue import Catalogue, refuse_taken
from syntype.data.curation.cosine import CosinePairs, Vectors, near_by_cosine
from syntype.data.curation.curate import check_vectors, curate, rows_of
from syntype.data.curation.outcome import Curation
from syntype.data.curation.rules import Cosines
from syntype.embeddings.store import Embeddings
from syntype.errors import VectorError
from syntype.progress import SILENT, Progress


def curate_catalogue(
    folder: Path,
    out: Path,
    config: CurateConfig,
    place: Workplace,
    *,
    against: Sequence[Path] = (),
    progress: Progress = SILENT,
) -> Curation:
    """Make a catalogue of the rows of another that are worth keeping.

    Args:
        folder: The catalogue.
        out: Folder of the new one.
        config: What is to go; `config.vectors` names embedding stores.
        place: Where to work.
        against: Catalogues, test sets as a rule, copies of whose pictures go.
        progress: Where to say how far it is.

    Raises:
        UsageError: There is something at `out`, or options contradict each other.
        DataNotFoundError: A folder is no catalogue.
        VectorError: Vectors are of another encoder, or of none of the rows.
        ResourceError: The disk is full.
    """
    refuse_taken(out)
    check_vectors(config, len(against))
    catalogue, *others = (Catalogue.open(one) for one in (folder, *against))
    cosines = None
    if config.vectors:
        progress.say("Comparing vectors.")
        cosines = compare_vectors(catalogue, others, config)
    return curate(
        catalogue,
        out,
        config,
        workspace=place.workspace,
        against=others,
        cosines=cosines,
        workers=place.workers,
        progress=progress,
    )


def compare_vectors(
    catalogue: Catalogue, others: Sequence[Catalogue], config: CurateConfig
) -> Cosines:
    """The pairs of pictures whose vectors are near, by the rows of the catalogues.

    Rows without a vector are compared with none; vectors of other samples are left alone.

    Raises:
        VectorError: Vectors are of another encoder than the first, or of none of the rows.
    """
    own, *rest = (Embeddings.open(folder) for folder in config.vectors)
    vectors, rows = _vectors(catalogue, own)
    among = near_by_cosine(vectors, config.cosine)
    against: list[CosinePairs | None] = [None] * len(others)
    for number, store in enumerate(rest):
        if store.key.encoder != own.key.encoder:
            raise VectorError(
                f"{store.folder} and {own.folder} are vectors of two encoders, between which a "
                "cosine means nothing. Embed both sets with one encoder."
            )
        theirs, their_rows = _vectors(others[number], store)
        pairs = near_by_cosine(vectors, config.cosine, theirs)
        against[number] = CosinePairs(rows[pairs.one], their_rows[pairs.other], pairs.cosine)
    one, other = rows[among.one], rows[among.other]
    return Cosines(
        CosinePairs(np.minimum(one, other), np.maximum(one, other), among.cosine), against
    )


def _vectors(catalogue: Catalogue, store: Embeddings) -> tuple[Vectors, np.ndarray]:
    """The vectors of a catalogue's rows, and these rows."""
    rows = rows_of(catalogue, store.ids)
    there = np.flatnonzero(rows >= 0)
    if len(there) == 0:
        raise VectorError(
            f"{store.folder} has no vector of a row of {catalogue.folder}: none of its ids is "
            "there. Embed this very set."
        )
    ids = [store.ids[row] for row in there.tolist()]
    return Vectors(ids, lambda wanted: store.take(there[wanted])), rows[there]
