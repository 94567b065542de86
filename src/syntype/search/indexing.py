"""The verb `index`: a source becomes an index, or brings one up to date.

Data enters through `gather`, leaves as an index; what is known of the index itself (its sets, what
it can be asked by, how similarity is to be read) is written on its card when the records are in.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from syntype.configs import IndexConfig, Workplace
from syntype.errors import DataError
from syntype.progress import SILENT, Progress
from syntype.search.calibration import Calibration, calibrate
from syntype.search.embedded import EmbeddedIndex
from syntype.search.filling import Filled, fill, vectors_for
from syntype.search.gathering import Gathered, gather
from syntype.search.index import Card, Index
from syntype.search.opening import create_index, exists, is_server, open_index

_GROWN = 0.2  # of new rows, from which on the finder is built anew
_DEAD = 0.3  # of dead rows, from which on they are left behind


def index_source(
    source: str,
    location: str,
    config: IndexConfig,
    place: Workplace,
    progress: Progress = SILENT,
) -> Filled:
    """Make an index of a source, or bring the one that is there up to date.

    Args:
        source: What `gather` reads.
        location: Folder of the index, or URL of its server.
        config: How.
        place: Where to work.
        progress: Where to say how far it is.

    Returns:
        What came of it.

    Raises:
        DataError: There is no picture, or something else lies at the location.
        VectorError: The index holds vectors of another encoder.
        EncoderError: The encoder cannot be loaded.
        ResourceError: The disk is full, or the server does not answer.
    """
    gathered = gather(source, config, place, progress)
    index = open_index(location) if exists(location) else None
    try:
        vectors = vectors_for(config, place, index.card if index is not None else None)
        if index is None:
            index = create_index(
                location,
                Card(
                    engine=config.engine,
                    dim=vectors.dim,
                    encoder=vectors.encoder,
                    spec=_lasting(config.encoder),
                    roots=gathered.roots,
                ),
            )
        # The roots come first: who searches already while records come wants their pictures.
        _describe(index, gathered)
        filled = fill(index, gathered, vectors, config, progress)
        finish(index, progress, changed=filled.n_written > 0)
    finally:
        if index is not None:
            index.close()
    if not is_server(location):
        filled.write(Path(location).expanduser())
    return filled


def _lasting(spec: str) -> str:
    """A spec that names the same from any folder."""
    source, colon, rest = spec.rpartition(":") if not Path(spec).exists() else ("", "", spec)
    name, mark, options = rest.partition("?")
    path = Path(name).expanduser()
    if not name or not path.exists():
        return spec
    return f"{source}{colon}{path.resolve()}{mark}{options}"


def _describe(index: Index, gathered: Gathered) -> None:
    card = index.card
    twins = {
        name
        for name, root in gathered.roots.items()
        if name in card.roots and card.roots[name] != root.resolve()
    }
    if twins:
        name = min(twins)
        raise DataError(
            f"The index has a set {name} from {card.roots[name]} already, and this one is from "
            f"{gathered.roots[name]}. Name the new one otherwise, NEW={gathered.roots[name]}; or "
            "make a new index, if the folder was moved."
        )
    sets = {one.name: asdict(one) for one in gathered.cards}
    index.describe(cards={**card.cards, **sets}, roots={**card.roots, **gathered.roots})


def finish(index: Index, progress: Progress = SILENT, *, changed: bool = True) -> None:
    """What is worth its time once records are in: cells, calibration, what can be asked.

    Args:
        index: To be searched.
        progress: Where to say how far it is.
        changed: Whether its records are others than at the last time.
    """
    if isinstance(index, EmbeddedIndex):
        if index.share_dead > _DEAD:
            progress.say("Leaving the dead behind.")
            index.compact()
        elif index.share_new > _GROWN:
            progress.say("Arranging the records.")
            index.build()
    else:
        index.build()
    notes = index.card.notes
    known = Calibration.from_notes(notes)
    if changed or known is None or known.n_records != len(index):
        index.describe(notes={**notes, **_notes(index, progress)})


def _notes(index: Index, progress: Progress) -> Mapping[str, Any]:
    from syntype.search.asking import describe_asker

    notes = dict(describe_asker(index.card.spec)) if index.card.spec else {}
    return notes | calibrate(index, seed=0, progress=progress).to_notes()
