"""What is read: search, records, facets, taxa, map, timeline, suggestions, about, health."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from syntype.provenance import content_hash
from syntype.search.answering import Answer, ask
from syntype.search.index import Index
from syntype.search.question import Question
from syntype.search.records import FACETS
from syntype.search.reply import answer_json, record_json
from syntype.serve import replies
from syntype.serve.asked import Search, prepared, search_of
from syntype.serve.desk import Desk, desk_of
from syntype.serve.media import parameters, query_of
from syntype.serve.metrics import TYPE
from syntype.serve.parameters import (
    FACET,
    FILTERS,
    ID,
    MAP,
    SEARCH,
    SUGGEST,
    TAXA,
    Asked,
    Parameter,
)
from syntype.serve.problems import Problem, documented
from syntype.serve.replies import Packed, pack, packed, tag_of, tagged, unchanged
from syntype.serve.uploads import read_body
from syntype.taxonomy.taxon import RANKS
from syntype.version import __version__

CACHE = "no-cache"
"""Answers are kept by browsers and asked for by their ETag: a new record shows at once."""
MOST_CELLS = 10_000
"""Of a map; where there would be more, cells are doubled until there are not."""
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already."}}

router = APIRouter(prefix="/api/v1")
metrics_router = APIRouter()


async def looked_up(
    request: Request,
    table: tuple[Parameter, ...],
    look: Callable[[Index, Asked], Mapping[str, Any]],
) -> Response:
    """An answer to a GET that depends on the index and the query alone, made in a thread.

    It is kept for others who ask the same while the index stays as it is: every visitor begins
    with the same facets, map and timeline.
    """
    desk, asked = desk_of(request), Asked(query_of(request), table)
    await desk.fresh()
    tag = tag_of(request, desk)
    if (known := unchanged(request, tag, CACHE)) is not None:
        return known
    answer = desk.remembered.get(tag)
    if answer is None:
        answer = await desk.searching.run(lambda: pack(look(desk.index, asked)))
        desk.remember(tag, answer)
    return tagged(packed(request, answer, cache=CACHE), tag)


async def found_by(desk: Desk, search: Search) -> Answer:
    """The answer to a search: files decoded in one pool, encoded in another, searched in a third.

    Raises:
        Problem: 413, 415 or 503.
        SyntypeError: It cannot be asked so.
    """
    await desk.fresh()
    question = await prepared(desk, search.question)
    vector = None
    if not question.empty:
        pool = desk.encoding if _encoded(question) else desk.searching
        vector = await pool.run(desk.asker.vector, question, desk.index)
    return await desk.searching.run(
        ask,
        desk.index,
        question,
        vector,
        n=search.n,
        where=search.where,
        group=search.group,
        diversity=search.diversity,
        after=search.after,
        calibration=desk.view.calibration,
    )


def _encoded(question: Question) -> bool:
    """Whether the encoder is needed: records have their vectors."""
    return question.n_wanted > len(question.likes) or bool(question.unlike_texts)


@router.get(
    "/search",
    tags=["search"],
    summary="Search by words, records, place: a search that is a link",
    response_model=replies.SearchReply,
    responses={**UNCHANGED, **documented()},
    openapi_extra=parameters(SEARCH),
)
async def search_get(request: Request) -> Response:
    """Records that are like what is asked, of those that fit; all of these where nothing is."""
    desk, search = desk_of(request), search_of(query_of(request))
    await desk.fresh()
    tag = tag_of(request, desk)
    if (known := unchanged(request, tag, CACHE)) is not None:
        return known
    return tagged(await _search(request, search, CACHE), tag)


def _fields() -> dict[str, Any]:
    return {parameter.name: _field(parameter) for parameter in SEARCH}


def _field(parameter: Parameter) -> dict[str, Any]:
    return {**parameter.schema(), "description": parameter.about}


def _files(about: str) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    return {"type": "array", "items": file, "maxItems": 8, "description": about}


def _body() -> dict[str, Any]:
    plain = {"type": "object", "additionalProperties": False, "properties": _fields()}
    files = {"image": _files("Pictures."), "sound": _files("Sounds.")}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {**plain, "properties": {**files, **_fields()}},
            },
            "application/x-www-form-urlencoded": {"schema": plain},
            "application/json": {"schema": plain},
        },
    }


@router.post(
    "/search",
    tags=["search"],
    summary="Search by pictures, sounds, words, records, place",
    response_model=replies.SearchReply,
    responses=documented(408, 413, 415, 422),
    openapi_extra={"requestBody": _body()},
)
async def search_post(request: Request) -> Response:
    """The same with files; the names are those of the GET, as form or JSON."""
    body = await read_body(request, desk_of(request))
    return await _search(request, search_of(body.fields, body), "no-store")


async def _search(request: Request, search: Search, cache: str) -> Response:
    desk, began = desk_of(request), time.perf_counter()
    found = await found_by(desk, search)
    took = 1000 * (time.perf_counter() - began)

    def told() -> Packed:
        roots, question = desk.view.card.roots, search.question.summary()
        return pack(answer_json(found, roots, question=question, took=took))

    return packed(request, await desk.searching.run(told), cache=cache)


@router.get(
    "/records",
    tags=["records"],
    summary="A record",
    response_model=replies.RecordReply,
    responses={**UNCHANGED, **documented(404)},
    openapi_extra=parameters((ID,)),
)
async def record(request: Request) -> Response:
    """What a record says, whose it is, where its medium is."""
    return await looked_up(request, (ID,), _record)


def _record(index: Index, asked: Asked) -> Mapping[str, Any]:
    (found,) = index.records([asked.one("id")])
    if found is None:
        raise Problem(404, "There is no such record.")
    return record_json(found, index.card.roots)


@router.get(
    "/facets",
    tags=["overview"],
    summary="Values of columns and their counts",
    response_model=replies.FacetsReply,
    responses={**UNCHANGED, **documented()},
    openapi_extra=parameters(FACET),
)
async def facets(request: Request) -> Response:
    """Of each column the values among the records that fit, without its own condition."""
    return await looked_up(request, FACET, _facets)


def _facets(index: Index, asked: Asked) -> Mapping[str, Any]:
    where, most = asked.where(), asked.integer("most")
    columns = list(dict.fromkeys(asked.many("only") or FACETS))
    # Columns without a condition of their own are counted together, which reads the records once.
    together = [name for name in columns if name not in where.equal]
    counted = index.facets(together, where, most)
    for name in where.equal.keys() & set(columns):
        counted[name] = index.facet(name, where.without(name), most)
    return {
        "facets": {
            name: [{"value": value, "count": n} for value, n in counted[name]] for name in columns
        },
        "total": index.count(where),
    }


@router.get(
    "/taxa",
    tags=["overview"],
    summary="Taxa of a rank",
    response_model=replies.TaxaReply,
    responses={**UNCHANGED, **documented()},
    openapi_extra=parameters(TAXA),
)
async def taxa(request: Request) -> Response:
    """A level of the tree; those above are filters, as in rank=family&order=Lepidoptera."""
    return await looked_up(request, TAXA, _taxa)


def _taxa(index: Index, asked: Asked) -> Mapping[str, Any]:
    rank, where = asked.one("rank"), asked.where()
    at = RANKS.index(rank)
    above = [where.equal[name][0] for name in RANKS[:at] if len(where.equal.get(name, ())) == 1]
    below = RANKS[at + 1] if at + 1 < len(RANKS) else None
    named = index.facet(rank, where, asked.integer("most"))
    return {
        "rank": rank,
        "parent": above[-1] if above else "",
        "taxa": [{"name": name, "count": n, "next": below} for name, n in named],
    }


@router.get(
    "/map",
    tags=["overview"],
    summary="Where records are from",
    response_model=replies.MapReply,
    responses={**UNCHANGED, **documented()},
    openapi_extra=parameters(MAP),
)
async def places(request: Request) -> Response:
    """Records that fit, in cells; larger ones than asked for, where there would be too many."""
    return await looked_up(request, MAP, _map)


def _map(index: Index, asked: Asked) -> Mapping[str, Any]:
    degrees, where = asked.number("degrees"), asked.where()
    cells = index.places(degrees, where)
    while len(cells) > MOST_CELLS:
        degrees *= 2
        cells = index.places(degrees, where)
    return {"degrees": degrees, "cells": [cell._asdict() for cell in cells]}


@router.get(
    "/timeline",
    tags=["overview"],
    summary="When records are from",
    response_model=replies.TimelineReply,
    responses={**UNCHANGED, **documented()},
    openapi_extra=parameters(FILTERS),
)
async def timeline(request: Request) -> Response:
    """Records that fit, by the year they begin in."""
    return await looked_up(request, FILTERS, _timeline)


def _timeline(index: Index, asked: Asked) -> Mapping[str, Any]:
    return {"years": [{"year": year, "n": n} for year, n in index.years(asked.where())]}


@router.get(
    "/suggest",
    tags=["search"],
    summary="Names that begin so",
    response_model=replies.SuggestReply,
    responses={**UNCHANGED, **documented()},
    openapi_extra=parameters(SUGGEST),
)
async def suggest(request: Request) -> Response:
    """Names of taxa and common names that have a word beginning with a text."""
    return await looked_up(request, SUGGEST, _suggest)


def _suggest(index: Index, asked: Asked) -> Mapping[str, Any]:
    found = index.suggest(asked.one("q"), asked.integer("n"))
    return {"suggestions": [{"rank": rank, "name": name, "count": n} for rank, name, n in found]}


@router.get(
    "/about",
    tags=["about"],
    summary="What this server has, and how it may be asked",
    response_model=replies.About,
    responses={**UNCHANGED, **documented()},
)
async def about(request: Request) -> Response:
    """The collection, its sets and their licences, the encoder, the limits."""
    desk = desk_of(request)
    return await looked_up(request, (), lambda index, _: _about(index, desk))


def _about(index: Index, desk: Desk) -> Mapping[str, Any]:
    card, config = index.card, desk.config
    counts = dict(index.facet("datasetName", most=1000))
    years = index.years()
    first, last = (str(years[0][0]), str(years[-1][0])) if years else ("", "")
    return {
        "name": config.title,
        "version": __version__,
        "records": len(index),
        "engine": card.engine,
        "dim": card.dim,
        "encoder": {
            "spec": replies.shown_spec(card.spec),
            "key": content_hash(card.encoder),
            "can": list(desk.asker.can),
        },
        "sets": [
            {
                "name": name,
                **{part: str(told.get(part, "")) for part in ("source", "license", "citation")},
                "records": counts.get(name, 0),
            }
            for name, told in card.cards.items()
        ],
        "facets": [
            name
            for name, values in index.facets(FACETS, most=2).items()
            if any(value for value, _ in values)
        ],
        "writes": bool(desk.key),
        "limits": {
            "uploadBytes": config.upload_bytes,
            "n": 100,
            "requestsPerMinute": config.requests_per_minute,
        },
        "calibrated": desk.view.calibration is not None and desk.view.calibration.form != "none",
        "remoteMedia": config.remote_media,
        "columns": {"since": first, "until": last},
    }


@router.get(
    "/health",
    tags=["about"],
    summary="Whether it answers",
    response_model=replies.Health,
    responses={**documented(), 503: {"model": replies.Health, "description": "It stops."}},
)
async def health(request: Request) -> Response:
    """ok; or stopping, with 503, from the signal to stop on."""
    desk = desk_of(request)
    with suppress(Problem):  # busy, or its server is gone: it was so when last seen
        await desk.fresh()
    told = "stopping" if desk.stopping else "ok"
    content = {"status": told, "records": desk.view.n, "engine": desk.view.card.engine}
    return packed(request, content, 503 if desk.stopping else 200)


@metrics_router.get(
    "/metrics",
    tags=["about"],
    summary="Counts, for Prometheus",
    response_class=PlainTextResponse,
    responses=documented(),
)
async def metrics(request: Request) -> Response:
    """Requests by route and status, their seconds, records, queues, in Prometheus' format."""
    desk = desk_of(request)
    desk.gauge()
    headers = {"Cache-Control": "no-store"}
    return Response(desk.metrics.text(), headers=headers, media_type=TYPE)
