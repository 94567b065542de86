"""A request to what it asks: the question, the conditions, how many, how arranged."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from syntype.search.question import Question, question_of
from syntype.search.where import Where
from syntype.serve.desk import Desk
from syntype.serve.parameters import SEARCH, Asked
from syntype.serve.problems import Problem
from syntype.serve.thumbnails import kind_of
from syntype.serve.uploads import Body, Upload

FILES = ("image", "sound")
"""Fields of a search that are files."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is asked.

    Attributes:
        question: What it should be like.
        where: The conditions.
        n: Records at most.
        after: Where the page before ended, or "".
        group: Rank by which records are gathered, or "".
        diversity: 0 to 1.
    """

    question: Question
    where: Where
    n: int
    after: str
    group: str
    diversity: float


def search_of(fields: Mapping[str, Sequence[str]], body: Body | None = None) -> Search:
    """The search that a query string or a body asks.

    Args:
        fields: Name to values.
        body: Where there are files.

    Raises:
        Problem: 400, a name or a value cannot be.
        UsageError: Likewise.
    """
    files = body.files if body else {}
    unknown = files.keys() - set(FILES)
    if unknown:
        raise Problem(400, f"Files are {' and '.join(FILES)}, not {min(unknown)[:40]!r}.")
    for name in FILES:
        if any(fields.get(name, ())):
            raise Problem(400, f"{name} is a file of a multipart/form-data body, no text.")
    # A file that was left empty may come as an empty text.
    asked = Asked({name: fields[name] for name in fields if name not in FILES}, SEARCH)
    weights = asked.numbers("weight")
    question = question_of(
        pictures=contents(files.get("image", ())),
        sounds=contents(files.get("sound", ())),
        texts=_filled(asked.many("text"), weights),
        likes=_filled(asked.many("like"), weights),
        unlikes=_filled(asked.many("unlike"), weights),
        weights=weights,
        place=asked.one("place"),
        climate=asked.one("climate"),
    )
    return Search(
        question=question,
        where=asked.where(),
        n=asked.integer("n"),
        after=asked.one("after"),
        group=asked.one("group"),
        diversity=asked.number("diversity"),
    )


def contents(uploads: Sequence[Upload]) -> list[bytes]:
    """The bytes of files."""
    return [upload.content for upload in uploads]


def _filled(values: Sequence[str], weights: Sequence[float]) -> list[str]:
    """What a form left empty is not asked; where weights are counted off, everything counts."""
    return list(values) if weights else [value for value in values if value.strip()]


def check_size(content: bytes, max_pixels: int) -> None:
    """Refuse a picture by the size that its header tells, before any of it is decoded.

    Raises:
        Problem: 413, it has more pixels; 415, it is no picture.
    """
    if not kind_of(content).startswith("image/"):
        raise Problem(415, "An uploaded file is no picture that is read here. Send a JPEG or PNG.")
    try:
        with Image.open(io.BytesIO(content)) as image:
            n_pixels = image.width * image.height
    except Image.DecompressionBombError:
        n_pixels = max_pixels + 1
    except Exception:  # Pillow's plugins fail on damaged files with a dozen error classes
        raise Problem(415, "An uploaded picture is damaged. Send a JPEG or PNG.") from None
    if n_pixels > max_pixels:
        raise Problem(
            413, f"An uploaded picture has more than {max_pixels:,} pixels. Send a smaller one."
        )


async def prepared(desk: Desk, question: Question) -> Question:
    """A question whose files are decoded, in the bounded pool.

    Raises:
        Problem: 413, 415 or 503.
        MediaError: A file cannot be decoded.
        UsageError: The collection cannot be asked so.
    """
    if not (question.pictures or question.sounds):
        return question
    return await desk.decoding.run(_prepare, desk, question)


def _prepare(desk: Desk, question: Question) -> Question:
    for content, _ in question.pictures:
        check_size(content, desk.config.max_pixels)
    try:
        return desk.asker.prepare(question)
    except MemoryError:
        raise Problem(413, "An uploaded file is too large to decode. Send a smaller one.") from None
