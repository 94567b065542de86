"""A double of the search services of GBIF and iDigBio that speaks their JSON and has their faults.

`Api.faults` is what goes wrong, one request after the other, until the list is empty:

    busy         429 with Retry-After: 0
    error        500
    cut          the connection ends in the middle of the answer
    truncated    the JSON ends in the middle, and the length is that of what was sent
    page         a page of HTML that says "maintenance", status 200
"""

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

FAULTS = ("busy", "error", "cut", "truncated", "page")
UUID = "00000000-0000-4000-8000-{:012d}"


@dataclass
class Api:
    """What the services have, what goes wrong, and what was asked.

    Attributes:
        records: Records of GBIF, as its search returns them.
        taxa: Name to the answer of species/match.
        items: Records of iDigBio.
        media: Media of iDigBio.
        moves: How many records GBIF gains at each request: its index is updated all the time.
        faults: What goes wrong.
        asked: (path, parameters, time) of each request.
        agents: Who asked.
    """

    records: list[dict] = field(default_factory=list)
    taxa: dict[str, dict] = field(default_factory=dict)
    items: list[dict] = field(default_factory=list)
    media: list[dict] = field(default_factory=list)
    moves: int = 0
    faults: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict, float]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)

    def answer(self, path: str, given: dict[str, str]) -> tuple[int, object]:
        """Status and content for a request."""
        limit, offset = int(given.get("limit", 20)), int(given.get("offset", 0))
        if path == "/v1/species/match":
            none = {"confidence": 100, "matchType": "NONE", "synonym": False}
            return 200, self.taxa.get(given["name"], none)
        if path == "/v1/occurrence/search":
            if limit > 300:
                limit = 300
            if offset + limit > 100_000:
                return 400, {"message": "Max offset of 100001 exceeded"}
            n = len(self.records) + self.moves * (len(self.asked) - 1)
            page = self.records[offset : offset + limit]
            end = offset + limit >= n
            return 200, {"offset": offset, "limit": limit, "endOfRecords": end, "count": n,
                         "results": page, "facets": []}  # fmt: skip
        if path in ("/v2/search/records", "/v2/search/media"):
            pool = self.items if path.endswith("records") else self.media
            if "mq" in given:
                wanted = set(json.loads(given["mq"])["records"])
                pool = [one for one in pool if wanted & set(one["indexTerms"]["records"])]
            pool = sorted(pool, key=lambda one: one["uuid"])
            return 200, {"itemCount": len(pool), "lastModified": "2026-11-01T00:00:00.000Z",
                         "items": pool[offset : offset + limit], "attribution": []}  # fmt: skip
        return 404, {"message": "nothing here"}

    @contextlib.contextmanager
    def running(self):
        """Serve on a free port; yields the address, without the version's part."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()


def _handler_of(api):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words):
            pass

        def handle(self):
            with contextlib.suppress(ConnectionError):
                super().handle()

        def do_GET(self):
            parts = urlsplit(self.path)
            given = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            api.asked.append((parts.path, given, time.monotonic()))
            api.agents.append(self.headers.get("User-Agent", ""))
            fault = api.faults.pop(0) if api.faults else ""
            if fault == "busy":
                self.send(429, b"", {"Retry-After": "0"})
                return
            if fault == "error":
                self.send(500, b"")
                return
            if fault == "page":
                self.send(200, b"<html>maintenance</html>", {"Content-Type": "text/html"})
                return
            status, content = api.answer(parts.path, given)
            body = json.dumps(content).encode()
            if fault == "truncated":
                body = body[: len(body) // 2]
            self.send(status, body, cut=fault == "cut")

        def send(self, status, body, headers=None, *, cut=False):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


def gbif_record(key: int, *, n_media: int = 2) -> dict:
    """An occurrence as the search returns it; the extension lists the media the other way round."""
    media = [
        {"type": "StillImage", "format": "image/jpeg",
         "identifier": f"https://photos.example.org/{key}/{n}.jpeg",
         "license": "http://creativecommons.org/licenses/by-nc/4.0/",
         "creator": f"Photographer {key}-{n}", "rightsHolder": f"Photographer {key}-{n}"}
        for n in range(n_media)
    ]  # fmt: skip
    dc = "http://purl.org/dc/terms/"
    extension = [
        {f"{dc}type": one["type"], f"{dc}identifier": one["identifier"],
         f"{dc}title": f"title of {one['identifier']}"}
        for one in reversed(media)
    ]  # fmt: skip
    return {
        "key": key, "gbifID": str(key), "datasetKey": "50c9509d-22c7-4a22-a47d-8c48425ef4a7",
        "occurrenceID": f"https://observations.example.org/{key}", "taxonKey": 2435099,
        "scientificName": "Puma concolor (Linnaeus, 1771)", "kingdom": "Animalia",
        "phylum": "Chordata", "class": "Mammalia", "order": "Carnivora", "family": "Felidae",
        "genus": "Puma", "species": "Puma concolor", "taxonRank": "SPECIES",
        "basisOfRecord": "HUMAN_OBSERVATION", "decimalLatitude": 41.5, "decimalLongitude": -103.7,
        "coordinateUncertaintyInMeters": 27754.0, "eventDate": "2024-01-02T13:47",
        "countryCode": "US", "isInCluster": False, "issues": ["COORDINATE_ROUNDED"],
        "license": "http://creativecommons.org/licenses/by/4.0/legalcode", "media": media,
        "extensions": {"http://rs.gbif.org/terms/1.0/Multimedia": extension},
    }  # fmt: skip


MATCH = {
    "usageKey": 2435099, "scientificName": "Puma concolor (Linnaeus, 1771)",
    "canonicalName": "Puma concolor", "rank": "SPECIES", "status": "ACCEPTED", "confidence": 99,
    "matchType": "EXACT", "kingdom": "Animalia", "genus": "Puma", "synonym": False,
}  # fmt: skip


def idigbio_record(number: int, media: list[int]) -> dict:
    """A record as search/records returns it: the publisher's words, and the index's in small."""
    return {
        "uuid": UUID.format(number), "type": "records", "etag": "0" * 40,
        "data": {
            "dwc:scientificName": "Puma concolor coryi (Bangs, 1899)", "dwc:genus": "Puma",
            "dwc:occurrenceID": f"urn:catalog:UF:Mammals:{number}",
            "dwc:catalogNumber": f"UF{number}", "dwc:institutionCode": "UF",
            "dwc:recordedBy": "R. Collector", "dwc:sex": "female",
            "dwc:decimalLatitude": "26 10 N", "dwc:basisOfRecord": "PreservedSpecimen",
        },
        "indexTerms": {
            "uuid": UUID.format(number), "scientificname": "puma concolor coryi",
            "kingdom": "animalia", "genus": "puma", "collector": "r. collector",
            "geopoint": {"lat": 26.17, "lon": -81.3}, "countrycode": "usa",
            "datecollected": "1971-05-01T00:00:00+00:00", "hasImage": bool(media),
            "mediarecords": [UUID.format(one) for one in media], "flags": [], "dqs": 0.4,
        },
    }  # fmt: skip


def idigbio_medium(number: int, records: list[int], *, kind: str = "images") -> dict:
    """A medium as search/media returns it."""
    address = f"https://media.example.org/{number}.jpg"
    return {
        "uuid": UUID.format(number), "type": "mediarecords", "etag": "1" * 40,
        "data": {
            "ac:accessURI": address, "dcterms:identifier": f"urn:uuid:{number}",
            "dcterms:rights": "http://creativecommons.org/licenses/by-nc/3.0/",
            "xmpRights:Owner": f"Owner {number}", "exif:PixelXDimension": "2048",
            "dcterms:format": "image/jpeg",
        },
        "indexTerms": {
            "uuid": UUID.format(number), "accessuri": address, "mediatype": kind,
            "format": "image/jpeg", "ypixels": 1024, "hasSpecimen": bool(records),
            "records": [UUID.format(one) for one in records],
        },
    }  # fmt: skip
