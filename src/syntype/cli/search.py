"""The verb that asks an index: `search`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from syntype.cli.app import app
from syntype.configs import FilterConfig, FilterOptions, SearchConfig, SearchOptions
from syntype.errors import DataNotFoundError

if TYPE_CHECKING:
    from syntype.search.question import Question


@app.command
def search(
    index: str,
    *,
    asked: SearchOptions = SearchConfig(),  # noqa: B008 - frozen
    filters: FilterOptions = FilterConfig(),  # noqa: B008 - frozen
    as_json: Annotated[bool, Parameter(name="json")] = False,
) -> None:
    """Find records by picture, words, example, sound, place or climate, under conditions.

    Args:
        index: Folder of the index, or URL of its server.
        asked: What they should be like.
        filters: Which records may be found.
        as_json: Print what the API replies, in place of a table.
    """
    import json

    from syntype.search.answering import ask
    from syntype.search.asking import Asker
    from syntype.search.calibration import Calibration
    from syntype.search.listing import answer_sentences, answer_table
    from syntype.search.opening import open_index
    from syntype.search.reply import answer_json
    from syntype.search.where import where_of
    from syntype.terminal import show_table

    where, question = where_of(filters.parameters()), _question(asked)
    opened = open_index(index)
    try:
        card = opened.card
        begun = time.perf_counter()
        calibration = Calibration.from_notes(card.notes)
        vector = None
        if not question.empty:
            vector = Asker(card, asked.device).vector(question, opened)
        answer = ask(
            opened,
            question,
            vector,
            n=asked.n,
            where=where,
            group=asked.group,
            diversity=asked.diversity,
            after=asked.after,
            calibration=calibration,
        )
        took = 1000 * (time.perf_counter() - begun)
    finally:
        opened.close()
    if as_json:
        reply = answer_json(answer, card.roots, question=question.summary(), took=took)
        sys.stdout.write(f"{json.dumps(reply, ensure_ascii=False, allow_nan=False, indent=1)}\n")
        return
    show_table(*answer_table(answer))
    for sentence in answer_sentences(answer, calibration):
        sys.stdout.write(f"{sentence}\n")


def _question(asked: SearchConfig) -> "Question":
    from syntype.search.question import question_of

    return question_of(
        pictures=[_content(path) for path in asked.image],
        sounds=[_content(path) for path in asked.sound],
        texts=asked.text,
        likes=asked.like,
        unlikes=asked.unlike,
        weights=asked.weight,
        place=asked.at,
        climate=asked.climate_at,
    )


def _content(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise DataNotFoundError(
            f"{path} cannot be read ({error.strerror}). Check the path."
        ) from error
