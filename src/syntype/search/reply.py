"""Records and answers as the JSON that the API replies with and `syntype search --json` prints.

    licence_of("http://creativecommons.org/licenses/by-nc/4.0/legalcode")
        Licence("CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/")

    record_json(record, roots)    {every column that says something, except where the medium lies on
                                  this machine, "has": [...], "attribution": one line,
                                  "licenseURL": URL or "", "link": the record's page or "",
                                  "media": {"kind": "image" or "sound", "local": bool,
                                            "thumbnail": URL or "", "full": URL or ""}}
    found_json(found, roots)      {"id", "similarity": cosine or null, "closeness": 0 to 1 or null,
                                  "record": as above}
    answer_json(answer, roots, question=..., took=...)
                                  {"records": [...], "groups": [...] (where asked for), "next": text
                                  or null, "total", "nothingClose", "took": ms, "question"}

`licenseURL`, `link`, `media.full` and `media.thumbnail` are addresses on the web or of the API,
never another scheme. Everything else is what the record says, and may hold anything: a page must
take it for text. What is called a sound has no thumbnail, and no more has a picture that does not
lie here: a page must not fetch it unasked.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from syntype.data.occurrences.licences import RESERVED, short_licence
from syntype.search.answering import Answer, Found, Group

MEDIA = "/api/v1/media"
"""Where the API hands out media; behind it `/thumbnail`, and `?id=` the record."""
UNKNOWN = "licence unknown"
"""The name of the licence of what does not say."""

_HIDDEN = frozenset(
    ("image", "imageStore", "imageOffset", "imageLength", "imageDigest", "unit", "split", "has")
)
_COMMONS = "https://creativecommons.org"
_DEED = re.compile(
    r"\bcreativecommons\.org/"
    r"(?:licen[sc]es/(?P<code>by(?:-nc)?(?:-nd|-sa)?)|publicdomain/(?P<free>zero|mark))"
    r"/(?P<version>\d\.\d)(?:/(?P<land>[a-z]{2,3})\b)?"
)
_SHORT = re.compile(r"CC-(BY(?:-NC)?(?:-ND|-SA)?)(?:-(\d\.\d))?(?:-([A-Z]{2}))?")
_LONG = re.compile(
    r"(?:creative commons )?(?:licen[sc]e )?attribution(?P<nc>[\s-]+non-?commercial)?"
    r"(?:[\s-]+(?:(?P<nd>no-?deriv\w*)|(?P<sa>share[\s-]?alike)))?(?:\s+v?(?P<version>\d\.\d))?"
    r"(?:\s+(?:international|unported|generic|licen[sc]e|\(cc[^)]*\)))*"
)


class Licence(NamedTuple):
    """A licence as people read it.

    Attributes:
        name: CC BY-NC 4.0, CC0 1.0, Public domain, All rights reserved; what is none of the known
            ones as it was delivered; `UNKNOWN` where nothing was said.
        url: Its text, where that is certain; "" else.
    """

    name: str
    url: str


def licence_of(text: str) -> Licence:
    """What a text in `license` says; nothing is added to it.

    A Creative Commons licence without a version is not given one, so it has no address; and a text
    that names several licences is none of them.
    """
    short = " ".join(text.split())
    deeds = {_of_deed(match) for match in _DEED.finditer(short.lower())}
    if deeds:
        return deeds.pop() if len(deeds) == 1 else Licence(short, "")
    form = short_licence(short)
    if form == "CC0-1.0":  # there is no other version
        return Licence("CC0 1.0", f"{_COMMONS}/publicdomain/zero/1.0/")
    if form in ("Public domain", RESERVED):
        return Licence(form, "")
    if match := _SHORT.fullmatch(form):
        return _commons(match[1].lower(), match[2] or "", (match[3] or "").lower())
    if match := _LONG.fullmatch(short.lower()):
        parts = ("by", *(part for part in ("nc", "nd", "sa") if match[part]))
        return _commons("-".join(parts), match["version"] or "", "")
    return Licence(short or UNKNOWN, web_address(short))


def _of_deed(match: re.Match[str]) -> Licence:
    if match["free"]:
        name = "CC0" if match["free"] == "zero" else "Public Domain Mark"
        url = f"{_COMMONS}/publicdomain/{match['free']}/{match['version']}/"
        return Licence(f"{name} {match['version']}", url)
    return _commons(match["code"], match["version"], match["land"] or "")


def _commons(code: str, version: str, land: str) -> Licence:
    name = " ".join(part for part in ("CC", code.upper(), version, land.upper()) if part)
    place = "".join(f"{part}/" for part in (code, version, land) if part)
    return Licence(name, f"{_COMMONS}/licenses/{place}" if version else "")


def web_address(text: str) -> str:
    """A text if it is an address on the web (http or https, with a host), else ""."""
    text = text.strip()
    if not text.isprintable() or " " in text or "\\" in text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in ("http", "https") and parts.hostname else ""


def attribution(record: Mapping[str, Any]) -> str:
    """Whose a medium is, who keeps it, and its licence: a line to stand beside it.

    Args:
        record: A row of `RECORD`.
    """
    whose = record["creator"] or record["recordedBy"] or record["rightsHolder"]
    parts = (whose, record["institutionCode"], licence_of(record["license"]).name)
    return ", ".join(line for part in parts if (line := " ".join(part.split())))


def media_json(record: Mapping[str, Any], roots: Mapping[str, Path]) -> dict[str, Any]:
    """Where a record's medium can be had.

    Args:
        record: A row of `RECORD`.
        roots: `datasetName` to the folder of its media, as the index's card has it.
    """
    sounds = record["mediaType"] == "Sound" or record["format"].startswith("audio/")
    local = bool(record["image"]) and record["datasetName"] in roots
    query = f"?id={quote(record['id'], safe='')}"
    return {
        "kind": "sound" if sounds else "image",
        "local": local,
        "thumbnail": f"{MEDIA}/thumbnail{query}" if local and not sounds else "",
        "full": f"{MEDIA}{query}" if local else web_address(record["accessURI"]),
    }


def record_json(record: Mapping[str, Any], roots: Mapping[str, Path]) -> dict[str, Any]:
    """A record: what it says, whose it is, and where its medium can be had.

    Args:
        record: A row of `RECORD`.
        roots: As `media_json` takes them.
    """
    said = {name: value for name, value in record.items() if name not in _HIDDEN and _says(value)}
    return {
        **said,
        "has": record["has"].split(),
        "media": media_json(record, roots),
        "attribution": attribution(record),
        "licenseURL": licence_of(record["license"]).url,
        "link": web_address(record["references"]),
    }


def _says(value: Any) -> bool:
    return value not in ("", None) and not (isinstance(value, float) and not math.isfinite(value))


def found_json(found: Found, roots: Mapping[str, Path]) -> dict[str, Any]:
    """A record that was found, and how similar it is."""
    return {
        "id": found.record["id"],
        "similarity": found.similarity,
        "closeness": found.closeness,
        "record": record_json(found.record, roots),
    }


def group_json(group: Group) -> dict[str, Any]:
    """A taxon of which records were found; they stand in `records`, here are their ids."""
    return {
        "name": group.name,
        "rank": group.rank,
        "records": list(group.ids),
        "best": group.best,
        "n": group.n,
    }


def answer_json(
    answer: Answer, roots: Mapping[str, Path], *, question: Mapping[str, Any], took: float
) -> dict[str, Any]:
    """An answer.

    Args:
        answer: What was found.
        roots: As `media_json` takes them.
        question: What was asked, as `Question.summary` tells it.
        took: Milliseconds.
    """
    reply: dict[str, Any] = {"records": [found_json(found, roots) for found in answer.found]}
    if answer.groups is not None:
        reply["groups"] = [group_json(group) for group in answer.groups]
    return reply | {
        "next": answer.next or None,
        "total": answer.total,
        "nothingClose": answer.nothing_close,
        "took": round(took, 1),
        "question": dict(question),
    }
