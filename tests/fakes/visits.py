"""A visitor: the real server in a thread, the real page in Chromium, and all that went wrong.

    with served(app) as address, chromium() as browser:
        visit = Visit(browser, address, width=390, height=844)
        visit.open("?text=moth")
        visit.close()                   # what the page complained of, or asked of others, fails

Chromium is Debian's or whichever is on the path; playwright drives it.
"""

import importlib.resources
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

WIDE, NARROW = (1440, 900), (390, 844)
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address that an application answers at, on a free port, as long as the block runs."""
    config = uvicorn.Config(app, port=0, log_level="error", ws="none", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
        assert thread.is_alive(), "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
        app.state.desk.close()


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window; skips where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the page is tested with playwright: pip install playwright"
    )
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("the page is tested in Chromium: apt-get install chromium")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=camera)
        yield browser
        browser.close()


class Visit:
    """One visitor with a window of their own.

    Args:
        browser: Of `chromium`.
        address: Of `served`.
        size: Of the window.
        options: Of playwright's context: color_scheme, has_touch ...
    """

    def __init__(
        self, browser: Any, address: str, size: tuple[int, int] = WIDE, **options: Any
    ) -> None:
        viewport = {"width": size[0], "height": size[1]}
        self.address = address
        self.context = browser.new_context(viewport=viewport, reduced_motion="reduce", **options)
        self.context.set_default_timeout(8000)
        self.complaints: list[str] = []
        self._responses: list[Any] = []
        self.page = self._window()

    def _window(self) -> Any:
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        page.on("request", self._watch)
        page.on("response", lambda response: self._responses.append(response))
        return page

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _watch(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {request.url}")

    def loaded(self) -> dict[str, int]:
        """Bytes of each part of the page that was fetched."""
        parts = {one.url.removeprefix(self.address): one for one in self._responses}
        return {
            path: len(response.body())
            for path, response in parts.items()
            if path == "" or path.startswith("static/")
        }

    def open(self, query: str = "", window: Any = None) -> Any:
        """Go to a state of the page and wait until it is shown."""
        page = window or self.page
        page.goto(self.address + query)
        self.settled(page)
        return page

    def settled(self, page: Any = None) -> None:
        """Wait until the results stand."""
        page = page or self.page
        page.wait_for_function(
            "() => !document.querySelector('#grid[aria-busy]')"
            " && !document.querySelector('#count').textContent.startsWith('Searching')"
        )

    def new_tab(self, query: str) -> Any:
        """The page in another tab of the same visitor."""
        return self.open(query, self._window())

    @property
    def query(self) -> str:
        """What stands behind the page's address."""
        return str(self.page.url).removeprefix(self.address)

    def shown(self, page: Any = None) -> list[str]:
        """Ids of the records that are shown."""
        script = "() => [...document.querySelectorAll('.card')].map((card) => card.dataset.id)"
        return list((page or self.page).evaluate(script))

    def focused(self) -> str:
        """Id, or class and text, of what has the focus."""
        return str(
            self.page.evaluate(
                "() => { const e = document.activeElement;"
                " return e.id || `${e.className} ${e.textContent}`.trim() }"
            )
        )

    def close(self) -> None:
        """End the visit; nothing may have gone wrong."""
        self.context.close()
        assert self.complaints == []


def violations(page: Any, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe-core finds wrong for people who do not see, or see little; all rules, or some."""
    if not page.evaluate("() => Boolean(window.axe)"):
        package = importlib.resources.files("axe_playwright_python")
        page.evaluate((package / "axe.min.js").read_text(encoding="utf-8"))
    options = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    options["resultTypes"] = ["violations"]  # type: ignore[assignment]
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
