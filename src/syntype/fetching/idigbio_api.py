"""Specimens and their media by iDigBio's search: pages of records, and the media of each page.

    Puma concolor                          records of that scientific name that have an image
    genus=puma&stateprovince=florida       any terms of iDigBio's index
    {"family": "felidae"}                  a record query as its interface takes it (rq)

    FOLDER/records/page-000000.json               search/records
    FOLDER/media/of-000000/page-000000.json ...   search/media: those of the records of that page

Media are asked for by the identifiers of their records (mq), so that a limit on the records is one
on their media too, and none comes without its record. They are paired by these identifiers when
they are read (`syntype.data.occurrences.idigbio`). SYNTYPE_IDIGBIO_API names another address.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from syntype import files
from syntype.configs import FetchConfig
from syntype.errors import UsageError
from syntype.fetching.ledger import Ledger
from syntype.fetching.paging import Answered, Query, fetch_pages, polite
from syntype.fetching.transfer import Patience, client
from syntype.progress import SILENT, Progress

API = "https://search.idigbio.org/v2"
ENVIRONMENT = "SYNTYPE_IDIGBIO_API"
PAGE, MOST = 100, 100_000
RATE = 2.0
ABOVE = "For more, make a download at https://portal.idigbio.org/ and import its zip."


def parse_query(text: str) -> dict[str, Any]:
    """The record query of a query as a user writes it; records with an image unless it says else.

    Raises:
        UsageError: It is no query.
    """
    if text.lstrip().startswith("{"):
        try:
            given = json.loads(text)
        except ValueError as error:
            raise UsageError(f"{text!r} is no JSON ({error}); write it as iDigBio's rq.") from error
        return {"hasImage": True, **given}
    query: dict[str, Any] = {"hasImage": True}
    for part in text.split("&"):
        key, sign, value = part.partition("=")
        if sign and re.fullmatch(r"[\w.]+", key.strip()) and value.strip():
            word = unquote_plus(value).strip()
            query[key.strip().lower() if key.strip() != "hasImage" else "hasImage"] = _value(word)
        elif part.strip() and not sign and "scientificname" not in query:
            # The index holds names in small letters.
            query["scientificname"] = part.strip().lower()
        else:
            raise UsageError(
                f"{part!r} in {text!r} is no term of the index: write a name, then TERM=VALUE, "
                "with & between them: 'Puma concolor&stateprovince=florida'."
            )
    return query


def _value(word: str) -> Any:
    return {"true": True, "false": False}.get(word.lower(), word)


def get_idigbio(
    text: str,
    folder: Path,
    config: FetchConfig,
    *,
    limit: int | None = None,
    api: str = "",
    patience: Patience | None = None,
    progress: Progress = SILENT,
) -> tuple[Answered, Answered]:
    """Have the records of a query of iDigBio and their media, as pages of JSON in a folder.

    Args:
        text: The query; see the top of the module.
        folder: Where the pages go.
        config: How often, and how many times; never more than twice a second.
        limit: Records at most; None for all. All their media come with them.
        api: Address of the service; where empty that of SYNTYPE_IDIGBIO_API, else iDigBio's.
        patience: How long to wait for what.
        progress: Where to show how far it is.

    Returns:
        What came of the records, and of the media.

    Raises:
        UsageError: The query cannot be, or is of more records than the search gives out.
        IncompleteError: A page does not come; the same call goes on.
        ResourceError: The disk is full, or the folder may not be written.
    """
    api = (api or os.environ.get(ENVIRONMENT, "") or API).rstrip("/")
    config, patience = polite(config, RATE), patience or Patience()
    record_query = json.dumps(parse_query(text), sort_keys=True)
    with client(patience, 1) as session:
        records = fetch_pages(
            _query(api, "records", {"rq": record_query}),
            folder / "records",
            config,
            session,
            limit=limit,
            patience=patience,
            progress=progress,
        )
        parts = []
        with progress.task("ask for the media of pages", records.n_pages) as task:
            for number in range(records.n_pages):
                page = files.read_json(folder / "records" / f"page-{number:06d}.json")
                uuids = sorted(item["uuid"] for item in page["items"])
                if uuids:
                    query = _query(api, "media", {"mq": json.dumps({"records": uuids})})
                    place = folder / "media" / f"of-{number:06d}"
                    parts.append(fetch_pages(query, place, config, session, patience=patience))
                task.advance()
    media = _joined(parts, folder / "media")
    Ledger(folder).describe(
        {
            "name": f"iDigBio specimens: {text}",
            "page": "https://portal.idigbio.org/portal/search",
            "license": "each medium has its own",
            "citation": "iDigBio, http://www.idigbio.org/portal: cite the recordsets of the "
            "records, see https://www.idigbio.org/content/idigbio-terms-use-policy",
            "records": records.n_records,
            "media": media.n_records,
            "totalMoved": records.moved or media.moved,
        }
    )
    return records, media


def _joined(parts: Sequence[Answered], folder: Path) -> Answered:
    """What several queries came to, as one; the total has moved if that of any has."""
    return Answered(
        folder=folder,
        n_records=sum(part.n_records for part in parts),
        n_pages=sum(part.n_pages for part in parts),
        n_new=sum(part.n_new for part in parts),
        total=sum(part.total for part in parts),
        totals=(sum(part.totals[0] for part in parts), sum(part.totals[1] for part in parts)),
        seconds=sum(part.seconds for part in parts),
    )


def _query(api: str, kind: str, parameters: dict[str, str]) -> Query:
    return Query(
        url=f"{api}/search/{kind}",
        parameters={**parameters, "sort": "uuid"},
        page=PAGE,
        most=MOST,
        above=ABOVE,
        results=_results,
    )


def _results(content: Any) -> tuple[int, int]:
    return len(content["items"]), int(content["itemCount"])
