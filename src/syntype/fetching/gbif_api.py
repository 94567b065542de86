"""Occurrences by GBIF's search: a name, or its parameters, to pages of JSON.

    Puma concolor                          its occurrences with pictures
    Puma concolor&country=US               further parameters of occurrence/search
    taxonKey=2435099&mediaType=Sound       parameters alone

A name is looked up with `species/match` first, and only an exact match of the name itself counts:
GBIF answers an unknown name with the genus, and that would be other animals.

The search gives out 100,000 records of a query and no more, and GBIF asks that large queries are
made as downloads. SYNTYPE_GBIF_API names another address, for tests and mirrors.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlencode

import httpx2

from syntype.configs import FetchConfig
from syntype.errors import DataNotFoundError, UsageError
from syntype.fetching.ledger import Ledger
from syntype.fetching.paging import Answered, Query, fetch_one, fetch_pages, polite
from syntype.fetching.transfer import Patience, client
from syntype.progress import SILENT, Progress

API = "https://api.gbif.org/v1"
ENVIRONMENT = "SYNTYPE_GBIF_API"
PAGE, MOST = 300, 100_000
RATE = 2.0
ABOVE = (
    "For more, make a download at https://www.gbif.org/occurrence/search (format Darwin Core "
    "Archive) and import its zip."
)


def parse_query(text: str) -> tuple[str, dict[str, str]]:
    """Name and parameters of a query as a user writes it; pictures unless it says otherwise.

    Raises:
        UsageError: It has two names, or nothing.
    """
    name, parameters = "", {"mediaType": "StillImage"}
    n_given = 0
    for part in text.split("&"):
        key, sign, value = part.partition("=")
        if sign and re.fullmatch(r"\w+", key.strip()) and value.strip():
            parameters[key.strip()] = unquote_plus(value).strip()
            n_given += 1
        elif part.strip() and not sign and not name:
            name = part.strip()
        elif part.strip():
            raise UsageError(
                f"{part!r} in {text!r} is no parameter: write a name, then KEY=VALUE, with & "
                "between them: 'Puma concolor&country=US'."
            )
    if not name and not n_given:
        raise UsageError(
            "Name what to ask GBIF for: gbif:'Puma concolor' or gbif:taxonKey=2435099."
        )
    return name, parameters


def folder_name(service: str, text: str) -> str:
    """A folder's name for a query: letters, digits and hyphens."""
    return f"{service}-" + (re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80] or "query")


def get_gbif(
    text: str,
    folder: Path,
    config: FetchConfig,
    *,
    limit: int | None = None,
    api: str = "",
    patience: Patience | None = None,
    progress: Progress = SILENT,
) -> Answered:
    """Have the occurrences of a query of GBIF, as pages of JSON in a folder.

    Args:
        text: The query; see the top of the module.
        folder: Where the pages go.
        config: How often, and how many times; never more than twice a second.
        limit: Records at most; None for all.
        api: Address of the service; where empty that of SYNTYPE_GBIF_API, else GBIF's.
        patience: How long to wait for what.
        progress: Where to show how far it is.

    Raises:
        UsageError: The query cannot be, or is of more records than the search gives out.
        DataNotFoundError: GBIF does not know the name.
        IncompleteError: A page does not come; the same call goes on.
        ResourceError: The disk is full, or the folder may not be written.
    """
    api = (api or os.environ.get(ENVIRONMENT, "") or API).rstrip("/")
    config, patience = polite(config, RATE), patience or Patience()
    name, parameters = parse_query(text)
    with client(patience, 1) as session:
        if name:
            key = _taxon_key(name, api, folder, config, session, patience)
            parameters["taxonKey"] = str(key)
        query = Query(
            url=f"{api}/occurrence/search",
            parameters=dict(sorted(parameters.items())),
            page=PAGE,
            most=MOST,
            above=ABOVE,
            results=_results,
        )
        answered = fetch_pages(
            query, folder, config, session, limit=limit, patience=patience, progress=progress
        )
    Ledger(folder).describe(
        {
            "name": f"GBIF occurrences: {text}",
            "page": f"https://www.gbif.org/occurrence/search?{urlencode(_site(parameters))}",
            "license": "each record and each medium has its own",
            "citation": "GBIF.org: cite the data sets of the records (datasetKey), "
            "see https://www.gbif.org/citation-guidelines",
            "records": answered.n_records,
            "total": answered.total,
            "totalMoved": answered.moved,
        }
    )
    return answered


def _results(content: Any) -> tuple[int, int]:
    return len(content["results"]), int(content["count"])


def _site(parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters as the pages for people spell them."""
    return {re.sub(r"([A-Z])", r"_\1", key).lower(): text for key, text in parameters.items()}


def _taxon_key(
    name: str,
    api: str,
    folder: Path,
    config: FetchConfig,
    session: httpx2.Client,
    patience: Patience,
) -> int:
    """The key of the taxon of that very name."""
    url = f"{api}/species/match?{urlencode({'name': name, 'strict': 'true'})}"
    (folder / ".fetch").mkdir(parents=True, exist_ok=True)
    path = folder / ".fetch" / f"match-{folder_name('name', name)}.json"
    found = fetch_one(url, path, config, session, patience=patience)
    kind, key = found.get("matchType", "NONE"), found.get("usageKey")
    if kind != "EXACT" or key is None:
        path.unlink(missing_ok=True)
        near = found.get("scientificName") or found.get("canonicalName")
        hint = f" The nearest that it has is {near!r} ({kind.lower()})." if near else ""
        raise DataNotFoundError(
            f"GBIF does not know {name!r} by that very name.{hint} Mend the name, or look its key "
            "up at https://www.gbif.org/species/search and ask for gbif:taxonKey=NUMBER."
        )
    return int(key)
