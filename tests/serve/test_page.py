"""The page in Chromium against the real server: a visitor's visit, by mouse, keys and phone."""

import base64
import csv
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, quote_plus

import numpy as np
import pyarrow as pa
import pytest

import syntype.data.media  # noqa: F401  # imported before the first picture is waited for
from fakes.collection import picture, synthetic_records
from fakes.served import collection
from fakes.visits import NARROW, WIDE, Visit, chromium, served, violations
from syntype.configs import ServeConfig
from syntype.search.calibration import calibrate
from syntype.search.question import Question
from syntype.search.records import conform_records
from syntype.serve.app import create_app
from syntype.serve.pages import parts_of_page

pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")

ROOT = Path(__file__).parents[2]
N = 140
MOST_BYTES = 150_000
ROWS = synthetic_records(N).to_pylist()
LIKE = "?like=cabinet%2Fr000030"
SOUND = next(row["id"] for row in ROWS if row["mediaType"] == "Sound" and row["image"])

# Browsers do not show what a form with files held.
SENT = """() => {
  const fetched = window.fetch;
  window.fetch = (address, options) => {
    if (options?.body) window.sent = [...options.body].map(([name, of]) => [name, String(of)]);
    return fetched(address, options);
  };
}"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    index, asker = collection(folder / "root", N)
    index.describe(notes=calibrate(index).to_notes())
    folders = {"media_folder": folder / "media", "cache_folder": folder / "cache"}
    config = ServeConfig(title="The Cabinet", requests_per_minute=0.0, **folders)
    with served(create_app(index, asker, config)) as found:
        yield found


@pytest.fixture
def visit(browser, address):
    found = Visit(browser, address)
    yield found
    found.close()


@pytest.fixture
def phone(browser, address):
    found = Visit(browser, address, NARROW, has_touch=True, is_mobile=True)
    yield found
    found.close()


def photograph(row: int) -> dict:
    return {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": picture(ROWS[row], 64)}


def bring(page, kind: str, content: bytes) -> None:
    """Drop or paste a picture, as the browser would tell the page of it."""
    page.evaluate(
        """([kind, text]) => {
          const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "mine.jpg", { type: "image/jpeg" }));
          const event = kind === "paste"
            ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
            : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        }""",
        [kind, base64.b64encode(content).decode()],
    )


def answered(visit: Visit, path: str = "api/v1/search"):
    """A block at whose end the server has answered a request."""
    return visit.page.expect_response(lambda response: path in response.url)


def test_it_loads_under_150_kb_and_tells_what_the_collection_is(visit):
    page = visit.open()
    loaded = visit.loaded()
    assert sum(loaded.values()) < MOST_BYTES
    parts = {f"static/{name}" for name in parts_of_page() if not name.endswith((".html", ".svg"))}
    assert parts == {name for name in loaded if name.endswith((".js", ".css"))}
    assert sum(len(part.content) for part in parts_of_page().values()) < MOST_BYTES
    assert page.title() == "The Cabinet"
    assert page.locator("h1").inner_text() == "The Cabinet"
    assert page.locator("#size").inner_text().startswith(f"{N} records")
    footer = page.locator("footer").inner_text()
    assert "cabinet 140 records. nobody, 2024. Licence: CC0." in footer
    cards = page.locator(".card")
    assert cards.count() == 40
    assert page.locator(".rights").count() == 40
    assert all(text for text in page.locator(".rights").all_inner_texts())
    linked = page.locator(".rights a").first
    assert linked.get_attribute("href").startswith("https://creativecommons.org/")


def test_a_visit(visit):
    page = visit.open()
    # A name is typed, a suggestion picked.
    page.fill("#words", "nymph")
    page.locator("#names [role=option]", has_text="Nymphalidae").click()
    visit.settled()
    assert visit.query == "?family=Nymphalidae"
    # A facet, another value of it, and the chip that removes it again.
    institution = page.locator(".facet", has_text="Institution")
    with answered(visit):
        institution.get_by_label("BMNH").check()
    with answered(visit):
        institution.get_by_label("USNM").check()
    visit.settled()
    assert parse_qs(visit.query[1:])["institutionCode"] == ["BMNH", "USNM"]
    page.get_by_role("button", name="Remove the filter Institution: USNM").click()
    visit.settled()
    assert not institution.get_by_label("USNM").is_checked()
    page.get_by_role("button", name="Remove the filter Institution: BMNH").click()
    # A box is drawn on the map.
    page.click("#map-draw")
    box = page.locator("#map svg.map").bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.9, steps=3)
    page.mouse.up()
    visit.settled()
    sides = [float(side) for side in parse_qs(visit.query[1:])["box"][0].split(",")]
    assert sides[0] < sides[2]
    drawn = visit.shown()
    assert drawn
    # The years are narrowed.
    page.fill("#since", "1900")
    page.locator("#since").blur()
    visit.settled()
    assert parse_qs(visit.query[1:])["since"] == ["1900"]
    assert set(visit.shown()) < set(drawn)
    # A record is opened and zoomed, and more like it is asked for.
    page.locator(".open").first.click()
    record = page.get_by_role("dialog")
    assert record.locator("h2").inner_text().startswith(("Vanessa", "Danaus", "Nymphalidae"))
    assert record.locator("#record-fields dd", has_text=re.compile("^Nymphalidae$")).count() == 1
    assert record.locator("#record-map svg").get_attribute("aria-label").startswith("Map: ")
    before = page.locator("#stage img").bounding_box()["width"]
    page.click("#zoom-in")
    assert page.locator("#stage img").bounding_box()["width"] > before * 1.4
    record.get_by_role("button", name="More like this").click()
    visit.settled()
    assert "like=cabinet" in visit.query
    assert re.search(r"\d+ % same species", page.locator(".likeness").first.inner_text())
    # Grouped by species, and the link opens the same in another tab.
    with answered(visit):
        page.select_option("#group", "species")
    visit.settled()
    assert page.locator("#grid h3").count() >= 1
    other = visit.new_tab(visit.query)
    assert visit.shown(other) == visit.shown()
    assert other.locator("#count").inner_text() == page.locator("#count").inner_text()
    # Back leads to where it was.
    page.go_back()
    visit.settled()
    assert page.locator("#group").input_value() == ""
    assert page.locator("#grid h3").count() == 0


def test_pictures_are_chosen_dropped_pasted_and_photographed_and_mixed_with_words(visit):
    page = visit.open()
    page.set_input_files("#file", photograph(40))
    page.wait_for_selector("#tray li")
    visit.settled()
    assert visit.query == ""  # the picture stays out of the link
    assert page.locator("#unshared").is_visible()
    chosen = visit.shown()
    bring(page, "drop", picture(ROWS[41], 64))
    page.wait_for_function("() => document.querySelectorAll('#tray li').length === 2")
    bring(page, "paste", picture(ROWS[42], 64))
    page.wait_for_function("() => document.querySelectorAll('#tray li').length === 3")
    page.click("#camera-button")
    page.wait_for_function("() => document.querySelector('#shutter-video').videoWidth > 0")
    page.click("#shutter-take")
    page.wait_for_function("() => document.querySelectorAll('#tray li').length === 4")
    page.fill("#words", "blue wings")
    page.click("#also")
    visit.settled()
    assert visit.query == "?text=blue+wings"
    page.evaluate(SENT)
    with answered(visit):
        page.get_by_label("Weight of blue wings").fill("2")
    visit.settled()
    sent = page.evaluate("() => window.sent")
    assert [name for name, _ in sent].count("image") == 4
    assert [value for name, value in sent if name == "weight"] == ["1", "1", "1", "1", "2"]
    assert "weight=2" in visit.query
    # Not this: what was wanted is not.
    page.locator("#tray li", has_text="blue wings").get_by_role("button", name="Not this").click()
    visit.settled()
    assert parse_qs(visit.query[1:])["unlike"] == ["text:blue wings"]
    for _ in range(3):
        page.go_back()
    page.wait_for_function("() => document.querySelectorAll('#tray li').length < 5")
    page.click("#clear")
    visit.settled()
    assert visit.shown() != chosen
    assert visit.query == ""


def test_more_and_less_like_a_record_and_variety(visit):
    page = visit.open(LIKE)
    first = visit.shown()
    page.locator(".card").nth(1).hover()
    page.locator(".card").nth(1).get_by_role("button", name="Not like this").click()
    visit.settled()
    assert parse_qs(visit.query[1:]) == {"like": ["cabinet/r000030"], "unlike": [first[1]]}
    assert visit.shown() != first
    with answered(visit):
        page.locator("#diversity").fill("0.5")
    visit.settled()
    assert "diversity=0.5" in visit.query
    page.get_by_role("button", name="Remove this from what the results are not like").click()
    visit.settled()
    assert "unlike" not in visit.query


def test_more_results_come_behind_those_shown(visit):
    page = visit.open("?kingdom=Animalia")
    first = visit.shown()
    page.get_by_role("button", name="More results").click()
    page.wait_for_function(f"() => document.querySelectorAll('.card').length > {len(first)}")
    both = visit.shown()
    assert both[: len(first)] == first
    assert len(set(both)) == len(both)
    assert page.evaluate("() => document.activeElement.closest('.card').dataset.id") == both[40]


def test_a_visit_by_keyboard_alone(visit):
    page = visit.open()
    press = page.keyboard.press
    press("Tab")
    assert visit.focused() == "skip Skip to the results"
    press("/")
    assert visit.focused() == "words"
    page.keyboard.type("vaness")
    page.wait_for_selector("#names [role=option]")
    assert page.locator("#words").get_attribute("aria-expanded") == "true"
    press("Escape")
    assert page.locator("#names").is_hidden()
    press("ArrowDown")
    page.wait_for_selector("#names [role=option]")
    press("ArrowDown")
    marked = page.locator("#words").get_attribute("aria-activedescendant")
    assert page.locator(f"#{marked}").get_attribute("aria-selected") == "true"
    press("Enter")
    visit.settled()
    assert visit.query == "?genus=Vanessa"
    # The tree of life: down, open, choose.
    page.locator("#tree [tabindex='0']").focus()
    press("End")
    press("Home")
    press("ArrowLeft")
    assert page.locator("#tree [role=treeitem]").first.get_attribute("aria-expanded") == "false"
    press("ArrowRight")
    page.wait_for_selector("#tree [role=treeitem] [role=treeitem]")
    press("ArrowRight")
    press("Enter")
    visit.settled()
    assert list(parse_qs(visit.query[1:])) == ["phylum"]
    # Box and years in numbers.
    page.locator(".numbers summary").focus()
    press("Enter")
    for side, value in (("south", "-60"), ("north", "60"), ("west", "120"), ("east", "-120")):
        page.focus(f"#box-{side}")
        page.keyboard.type(value)
    press("Enter")
    visit.settled()
    assert parse_qs(visit.query[1:])["box"] == ["-60,120,60,-120"]
    # From card to card, into one, to the next, and out again.
    page.locator(".card .open[tabindex='0']").focus()
    ids = visit.shown()
    press("ArrowRight")
    press("ArrowDown")
    press("ArrowUp")
    press("Enter")
    page.wait_for_selector("#record[open]")
    assert parse_qs(visit.query[1:])["record"] == [ids[1]]
    press("ArrowRight")
    page.wait_for_function(f"() => location.search.includes({json.dumps(quoted(ids[2]))})")
    press("+")
    assert "scale(1.5)" in page.locator("#stage img").get_attribute("style")
    press("Escape")
    page.wait_for_selector("#record:not([open])", state="attached")
    assert "record" not in visit.query
    assert page.evaluate("() => document.activeElement.closest('.card').dataset.id") == ids[2]


def quoted(id_: str) -> str:
    return quote_plus(id_)


def test_what_a_record_says_is_text_and_nothing_of_it_runs(visit):
    row = next(row for row in ROWS if "<script>" in row["recordedBy"] and row["image"])
    page = visit.open(f"?record={quoted(row['id'])}")
    page.wait_for_selector("#record[open]")
    assert page.get_by_text("<script>alert(1)</script>", exact=True).count() >= 1
    assert page.locator("#record script").count() == 0
    assert page.evaluate("() => document.scripts.length") == 2
    linked = "async (a) => (await import('/static/elements.js')).outward(a, a).tagName"
    assert page.evaluate(linked, "https://example.org") == "A"
    for script in ("javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", ""):
        assert page.evaluate(linked, script) == "SPAN"
    for odd in ("cabinet/a b", "cabinet/a#b", "cabinet/a%2Fb", "cabinet/a?b=c&d", "cabinet/🦋"):
        visit.open(f"?record={quoted(odd)}")
        page.wait_for_selector("#record[open]")
        here = page.locator("#record-fields dt[title=id] + dd")
        assert here.inner_text() == odd


@pytest.mark.slow
def test_a_link_to_a_record_among_results_leads_to_the_next_too(visit):
    visit.open(LIKE)
    ids = visit.shown()
    page = visit.open(f"{LIKE}&record={quoted(ids[1])}")
    page.wait_for_selector("#record-next:not([disabled])")
    assert page.locator("#record-like").inner_text().endswith("likely")
    page.click("#record-before")
    page.wait_for_selector("#record-before[disabled]")
    assert parse_qs(visit.query[1:])["record"] == [ids[0]]
    page.go_back()
    page.go_forward()
    visit.settled()
    visit.open("?record=nowhere")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "no such record" in page.locator("#trouble").inner_text()
    visit.complaints.clear()


def test_the_documented_names_are_what_a_link_holds(visit):
    page = visit.open()
    text = (ROOT / "docs/reference/search-page.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \|", text.split("<!-- link -->")[1], re.MULTILINE)
    full = {name: "x" for name in told if name not in ("text", "like", "unlike", "weight", "has")}
    state = {
        **full,
        "examples": [{"kind": kind, "value": "x", "weight": 2} for kind in ("text", "like")],
        "unlikes": ["x"],
        "filters": {"has": ["image"]},
    }
    names = "async (s) => [...(await import('/static/state.js')).queryOf(s).keys()]"
    assert set(page.evaluate(names, state)) == set(told)


@pytest.mark.slow
def test_how_close_a_record_is_stands_in_words(visit):
    page = visit.page

    def answer(closeness, nothing):
        def change(route):
            told = route.fetch().json()
            for one in told["records"]:
                one["closeness"] = closeness
            route.fulfill(json={**told, "nothingClose": nothing})

        return change

    for closeness, nothing, words in (
        (0.92, False, "92 % same species very likely"),
        (0.999, False, "over 99 % same species very likely"),
        (0.004, True, "under 1 % same species very unlikely"),
        (None, False, r"similarity 0\.\d\d"),
    ):
        page.route("**/api/v1/search*", answer(closeness, nothing))
        visit.open(LIKE)
        assert re.fullmatch(words, page.locator(".likeness").first.inner_text())
        assert page.locator("#distant").is_visible() == nothing
        assert page.locator("#calibrated").is_visible() == (closeness is not None)
        page.unroute("**/api/v1/search*")
    visit.open()
    assert page.locator(".likeness").count() == 0


def test_a_picture_that_lies_elsewhere_is_linked_and_not_fetched(visit):
    row = next(row for row in ROWS if row["accessURI"] and row["mediaType"] == "StillImage")
    page = visit.open(f"?record={quoted(row['id'])}")
    there = page.get_by_role("link", name="Open it there")
    assert there.get_attribute("href") == row["accessURI"]
    assert there.get_attribute("rel") == "noopener noreferrer"
    assert page.locator("#stage img").count() == 0


def test_a_sound_is_played(visit):
    page = visit.open(f"?record={quoted(SOUND)}")
    player = page.locator("#stage audio")
    player.evaluate("(audio) => audio.play()")
    page.wait_for_function("() => document.querySelector('#stage audio').currentTime > 0")
    assert player.get_attribute("aria-label").startswith("Sound of ")


def test_the_map_knows_that_the_earth_is_round(visit):
    page = visit.open("?box=-30,170,0,-170")
    arc = "async (l) => (await import('/static/map.js')).arcOf(l)"
    assert page.evaluate(arc, [178, -179, 175]) == {"west": 175, "extent": 6}
    assert page.evaluate(arc, [-10, 20]) == {"west": -10, "extent": 30}
    assert page.evaluate(arc, [5]) == {"west": 5, "extent": 0}
    widths = page.locator(".boxes rect").evaluate_all(
        "(r) => r.map((one) => one.width.baseVal.value)"
    )
    assert widths == [20, 20, 20]
    assert page.locator("#chips").inner_text().split("\n")[-1] == "30° S to 0°, 170° E to 170° W"
    page.click("#map-large")
    assert page.locator("#large svg.map").bounding_box()["width"] > 1000
    assert page.locator("#large circle").count() > 3
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.id === 'map-large'")
    page.click("#map-in")
    page.locator("#map .cells circle").first.dispatch_event("click")
    visit.settled()
    assert visit.query != "?box=-30,170,0,-170"


def test_years_are_chosen_on_the_timeline(visit):
    page = visit.open()
    chart = page.locator("#timeline svg")
    page.wait_for_selector("#timeline rect", state="attached")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20)
    page.mouse.up()
    visit.settled()
    asked = parse_qs(visit.query[1:])
    assert 1500 <= int(asked["since"][0]) < int(asked["until"][0]) <= 2100
    assert page.locator("#timeline rect.out").count() > 0
    page.click("#years-clear")
    visit.settled()
    assert visit.query == ""


def test_a_long_facet_is_searched(visit):
    page = visit.open()
    species = page.locator(".facet", has=page.locator("summary", has_text="Species"))
    with answered(visit, "only=species"):
        species.locator("summary").click()
    species.get_by_role("button", name="Show all").click()
    assert species.locator("li").count() == 11
    species.get_by_label("Parus major").check()
    visit.settled()
    assert visit.query == "?species=Parus+major"
    assert species.locator("summary .count").inner_text() == "1 chosen"
    assert visit.focused() != "words"


def test_colours_follow_the_system_until_chosen_and_are_remembered(browser, address):
    visit = Visit(browser, address, color_scheme="dark")
    page = visit.open()
    paper = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="Light colours").click()
    light = page.evaluate(paper)
    assert light != dark
    visit.open()
    assert page.evaluate(paper) == light
    visit.close()


@pytest.mark.real_data
def test_a_visit_to_real_birds(browser, real_data, tmp_path):
    root = real_data("birds_opennature_cc0")
    with (root / "labels.csv").open(encoding="utf-8") as lines:
        labels = list(csv.DictReader(lines))[:60]
    rows = [
        {
            "id": f"birds/{row['label']}",
            "datasetName": "birds",
            "image": row["path"],
            "scientificName": row["label"],
            "species": row["label"],
            "family": row["family"],
            "vernacularName": row["common_name"],
            "license": "CC0",
            "mediaType": "StillImage",
            "has": "image",
        }
        for row in labels
    ]
    index, asker = collection(None, 0)
    pictures = [(root / row["image"]).read_bytes() for row in rows]
    asked = [Question(pictures=((content, 1.0),)) for content in pictures]
    vectors = np.array([asker.vector(question, index) for question in asked])
    index.upsert(conform_records(pa.Table.from_pylist(rows)), vectors)
    index.describe(roots={"birds": root})
    config = ServeConfig(requests_per_minute=0.0, cache_folder=tmp_path / "thumbnails")
    with served(create_app(index, asker, config)) as address:
        visit = Visit(browser, address)
        page = visit.open()
        bring(page, "drop", pictures[20])
        page.wait_for_selector("#tray li")
        visit.settled()
        assert visit.shown()[0] == rows[20]["id"]
        assert page.locator(".likeness").first.inner_text() == "similarity 1.00"
        assert page.locator(".card img").first.evaluate("(image) => image.decode()") is None
        assert page.locator(".rights").first.inner_text() == "CC0 1.0"
        page.locator(".open").first.click()
        large = page.locator("#stage img")
        large.evaluate("(image) => image.decode()")
        assert large.evaluate("(image) => image.naturalWidth") > 200
        page.locator("#record").get_by_role("button", name="More like this").click()
        visit.settled()
        assert parse_qs(visit.query[1:]) == {"like": [rows[20]["id"]]}
        page.fill("#words", rows[3]["vernacularName"].split()[-1].lower())
        page.locator("#names [role=option]", has_text=rows[3]["vernacularName"]).first.click()
        visit.settled()
        assert parse_qs(visit.query[1:])["vernacularName"] == [rows[3]["vernacularName"]]
        visit.close()


@pytest.mark.slow
@pytest.mark.parametrize("can", [["image"], []])
def test_a_collection_that_reads_no_words_is_searched_by_names(visit, can):
    page = visit.page

    def change(route):
        told = route.fetch().json()
        told["encoder"]["can"] = can
        route.fulfill(json=told)

    page.route("**/api/v1/about", change)
    visit.open()
    assert page.locator("#file-button").is_visible() == ("image" in can)
    assert page.locator("#camera-button").is_visible() == ("image" in can)
    assert page.locator("#words").get_attribute("placeholder") == "A name"
    page.fill("#words", "no such name")
    page.keyboard.press("Enter")
    assert "choose a name" in page.locator("#hint").inner_text()
    assert visit.query == ""
    page.fill("#words", "Paridae")
    page.wait_for_selector("#names [role=option]")
    page.keyboard.press("Enter")
    visit.settled()
    assert visit.query == "?family=Paridae"


@pytest.mark.slow
def test_what_goes_wrong_is_said_in_words(visit):
    page = visit.open("?since=1900&until=1800")
    trouble = page.get_by_role("alert").filter(has_text="1800")
    assert trouble.is_visible()
    visit.open("?like=nothing")
    page.wait_for_selector("#trouble:not([hidden])")
    visit.open("?family=Nymphalidae&species=Bellis+perennis")
    assert page.locator("#empty").is_visible()
    assert page.locator("#count").inner_text() == "No record fits"
    visit.open()
    busy = {"title": "Too many requests", "detail": "Wait 3 s.", "status": 429}
    body = json.dumps(busy)
    page.route("**/api/v1/search*", lambda route: route.fulfill(status=429, body=body))
    page.fill("#words", "moth")
    page.keyboard.press("Enter")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "Too many requests Wait 3 s." in page.locator("#trouble").inner_text()
    page.unroute("**/api/v1/search*")
    page.click("#trouble-again")
    page.wait_for_selector(".card:not(.skeleton)")
    visit.context.set_offline(True)
    page.wait_for_selector("#offline:not([hidden])")
    page.click("#clear")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "offline" in page.locator("#trouble-title").inner_text()
    assert all("console: Failed to load resource" in one for one in visit.complaints)
    visit.complaints.clear()


@pytest.mark.slow
def test_on_a_phone_the_filters_fold_and_the_camera_opens(phone):
    page = phone.open(LIKE)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= NARROW[0]
    assert page.locator("#panel").is_hidden()
    page.click("#filters")
    page.wait_for_selector("#tree [role=treeitem]")
    page.get_by_role("checkbox", name="BMNH").check()
    phone.settled()
    page.click("#done")
    assert page.locator("#panel").is_hidden()
    assert page.locator("#filters").inner_text() == "1 filter"
    with page.expect_file_chooser():
        page.click("#camera-button")
    assert page.locator("#camera").get_attribute("capture") == "environment"
    page.locator(".open").first.click()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= NARROW[0]


def states(visit: Visit):
    """Name of a state of the page, which then is shown; few records each, for speed."""
    page = visit.page
    visit.open("?species=Parus+minor")
    page.locator("#tree .twist").first.click()
    page.wait_for_selector("#tree [role=treeitem] [role=treeitem]")
    page.fill("#words", "va")
    page.wait_for_selector("#names [role=option]")
    yield "filters, with the tree open, and suggestions"
    visit.open(f"{LIKE}&like=cabinet%2Fr000031&unlike=text:moth&genus=Parus&group=species")
    page.wait_for_selector("#tray .weight")
    yield "results in groups"
    visit.open(f"{LIKE}&species=Parus+minor&record={quoted(SOUND)}")
    page.wait_for_selector("#record[open]")
    yield "a record"
    visit.open("?box=0,0,1,1&text=moth&until=1800")
    page.wait_for_selector("#empty:not([hidden])")
    yield "nothing"
    page.route("**/api/v1/search*", lambda route: route.fulfill(status=503, body="{}"))
    visit.open("?text=moth")
    page.unroute("**/api/v1/search*")
    page.wait_for_selector("#trouble:not([hidden])")
    yield "trouble"
    visit.complaints.clear()


def test_nothing_stands_in_the_way_of_people_who_see_little_or_nothing(visit):
    page = visit.page
    found = {}
    for name in states(visit):
        found[name, WIDE, "light"] = violations(page)
        page.emulate_media(color_scheme="dark")
        found[name, WIDE, "dark"] = violations(page, ("color-contrast",))
        page.emulate_media(color_scheme="light")
    assert len(found) == 10
    assert {key: wrong for key, wrong in found.items() if wrong} == {}


UNFOLDED = """
addEventListener("load", () => document.getElementById("panel").classList.add("shown"));
"""


@pytest.mark.slow
def test_nor_on_a_phone_nor_in_the_dark(browser, address):
    for scheme in ("light", "dark"):
        visit = Visit(browser, address, NARROW, has_touch=True, is_mobile=True, color_scheme=scheme)
        page = visit.page
        page.add_init_script(UNFOLDED)
        found = {name: violations(page) for name in states(visit)}
        visit.open()
        found["start"] = violations(page)
        page.click("#map-large")
        found["the large map"] = violations(page)
        assert {name: wrong for name, wrong in found.items() if wrong} == {}
        visit.close()


def test_the_look_for_obstacles_finds_them(visit):
    page = visit.open("?species=Parus+minor")
    page.evaluate("() => { document.querySelector('#words').removeAttribute('aria-expanded');"
                  " document.querySelector('#count').style.color = '#ddd'; }")  # fmt: skip
    found = violations(page)
    assert sorted({one.split(":")[0] for one in found}) == ["aria-required-attr", "color-contrast"]
