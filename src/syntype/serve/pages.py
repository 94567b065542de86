"""The page and its parts, held in memory, and the API's own page.

A part is looked up by its name in a dictionary: no name leads out of the folder.
"""

import gzip
import hashlib
import html
import json
import mimetypes
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from syntype.serve.problems import Problem
from syntype.serve.replies import unchanged

CACHE = "no-cache"
"""Parts are kept by browsers and asked for by their ETag, so that a new version shows at once."""
_TEXTS = (
    "text/",
    "application/javascript",
    "application/json",
    "image/svg",
    "application/manifest",
)
_KINDS = {".js": "text/javascript", ".webmanifest": "application/manifest+json"}


class Part(NamedTuple):
    """A file of the page.

    Attributes:
        content: Its bytes.
        packed: The same compressed; empty where that does not help.
        kind: Its media type.
        tag: Its ETag.
    """

    content: bytes
    packed: bytes
    kind: str
    tag: str


def part_of(name: str, content: bytes) -> Part:
    """A file as it is kept."""
    ending = name[name.rfind(".") :] if "." in name else ""
    kind = _KINDS.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    texts = kind.startswith(_TEXTS)
    packed = gzip.compress(content, 9, mtime=0) if texts and len(content) > 500 else b""
    if texts:
        kind += "; charset=utf-8"
    return Part(content, packed, kind, f'W/"{hashlib.sha256(content).hexdigest()[:32]}"')


def parts_of_page() -> Mapping[str, Part]:
    """All files of the page by their path in its folder; none where there is no page."""
    folder = files("syntype.serve") / "page"
    if not folder.is_dir():
        return {}
    return {name: part_of(name, file.read_bytes()) for name, file in _walk(folder, "")}


def _walk(folder: Traversable, before: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{before}{entry.name}/")
        elif not entry.name.endswith((".py", ".pyc")):
            yield before + entry.name, entry


def send(request: Request, part: Part) -> Response:
    """A part, unless the client has it."""
    if (known := unchanged(request, part.tag, CACHE)) is not None:
        return known
    headers = {"ETag": part.tag, "Cache-Control": CACHE, "Vary": "Accept-Encoding"}
    content = part.content
    if part.packed and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = part.packed, "gzip"
    return Response(content, headers=headers, media_type=part.kind)


def pages() -> APIRouter:
    """The routes of the page and of the API's description."""
    router = APIRouter(include_in_schema=False)
    parts = parts_of_page()
    style, script = part_of("docs.css", STYLE.encode()), part_of("docs.js", SCRIPT.encode())

    def found(name: str) -> Part:
        if name not in parts:
            raise Problem(404, "The page has no such part.")
        return parts[name]

    @router.get("/")
    async def index(request: Request) -> Response:
        return send(request, found("index.html"))

    @router.get("/favicon.ico")
    async def icon(request: Request) -> Response:
        return send(request, found("favicon.svg" if "favicon.svg" in parts else "favicon.ico"))

    @router.get("/static/{name:path}")
    async def static(request: Request, name: str) -> Response:
        return send(request, found(name))

    @router.get("/api/openapi.json")
    async def description(request: Request) -> Response:
        content = json.dumps(request.app.openapi(), ensure_ascii=False).encode()
        return send(request, part_of("openapi.json", content))

    @router.get("/api/docs")
    async def documents(request: Request) -> Response:
        return send(request, part_of("docs.html", document(request.app.openapi()).encode()))

    @router.get("/api/docs.css")
    async def looks(request: Request) -> Response:
        return send(request, style)

    @router.get("/api/docs.js")
    async def works(request: Request) -> Response:
        return send(request, script)

    return router


STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
section { border-top: 1px solid; padding: .5rem 0 1rem; }
h2 { font: 600 1.1rem ui-monospace, monospace; overflow-wrap: anywhere; }
label { display: grid; grid-template-columns: 11rem 1fr; gap: .5rem; margin: .25rem 0; }
label small { grid-column: 2; opacity: .8; }
@media (max-width: 40rem) { label { grid-template-columns: 1fr; } label small { grid-column: 1; } }
"""


SCRIPT = """
for (const form of document.forms) {
  form.addEventListener("submit", () => {
    for (const field of form.elements) field.disabled = field.name !== "" && field.value === "";
    setTimeout(() => { for (const field of form.elements) field.disabled = false; });
  });
}
"""
"""A form sends what is left empty, which of a column means that it does not say: it must not."""


def document(openapi: Mapping[str, Any]) -> str:
    """The API on one page: every operation, its parameters as a form to try it, its errors."""
    title = html.escape(openapi["info"]["title"])
    sections = "".join(
        _section(path, method, operation)
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="/api/docs.css">'
        '<script type="module" src="/api/docs.js"></script></head><body><main><h1>{title}: API</h1>'
        f"<p>{html.escape(openapi['info']['description'])}</p>"
        '<p>The same for programs: <a href="/api/openapi.json">OpenAPI</a>.</p>'
        f"{sections}</main></body></html>"
    )


def _section(path: str, method: str, operation: Mapping[str, Any]) -> str:
    text = html.escape(operation.get("description") or operation.get("summary", ""))
    answers = "".join(
        f"<li><b>{html.escape(status)}</b> {html.escape(answer['description'])}</li>"
        for status, answer in operation["responses"].items()
    )
    bodies = operation.get("requestBody", {}).get("content", {})
    fields = operation.get("parameters", ())
    form = ""
    if method == "get":
        rows = "".join(_field(field) for field in fields)
        form = f'<form action="{html.escape(path)}">{rows}<button>GET</button></form>'
    elif "multipart/form-data" in bodies:
        names = bodies["multipart/form-data"]["schema"]["properties"]
        listed = ", ".join(f"<code>{html.escape(name)}</code>" for name in names)
        form = f"<p>Body: {html.escape(', '.join(bodies))}: {listed}</p>"
    return (
        f"<section><h2>{method.upper()} {html.escape(path)}</h2><p>{text}</p>"
        f"<details><summary>Parameters and answers</summary>{form}<ul>{answers}</ul>"
        "</details></section>"
    )


def _field(field: Mapping[str, Any]) -> str:
    name, about = html.escape(field["name"]), html.escape(field.get("description", ""))
    schema = field["schema"].get("items", field["schema"])
    required = " required" if field["required"] else ""
    if "enum" in schema:
        values = "".join(
            f"<option>{html.escape(value)}</option>" for value in schema["enum"] if value
        )
        into = f'<select name="{name}"><option></option>{values}</select>'
    else:
        into = f'<input name="{name}"{required}>'
    return f"<label>{name}{into}<small>{about}</small></label>"
