import html.parser
import io
import json
import re
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from syntype.report.compare import compare
from syntype.report.data import Stage
from syntype.report.drawing import short
from syntype.report.flow import draw_flow
from syntype.report.page import data_uri, rows_of_json, write_report

HOSTILE = '<script>alert("x")</script> & $\\frac{1}{2}$ \u9b5a'
PROVENANCE = {"time": "2031-02-03T04:05:06", "host": "a-host", "command": HOSTILE}


def png(colour, size=(300, 200)):
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "PNG")
    return content.getvalue()


def picture(id):
    """A picture for most ids; None and a broken one for the others."""
    number = sum(id.encode())
    return {0: None, 1: b"not a picture"}.get(number % 7, png((number % 255, 90, 60)))


def report(fakes, quick, folder, *, name=HOSTILE, **shape):
    models = fakes["sweep"](ks=(8, 48), seeds=(0,), **shape)
    models.append(fakes["evaluated"](name, "baseline", 0.5, **shape))
    context = fakes["context"](
        title=name,
        stages=[Stage(name, name * 3, True), Stage("Scores", "")],
        failures=[("k = 500", name)],
        settings={name: [name, {"deep": None}]},
    )
    data = compare(models, fakes["quality"](), context, quick)
    page = write_report(data, folder, picture=picture, provenance=PROVENANCE)
    return data, page


@pytest.fixture
def no_figures(monkeypatch):
    """For tests of the text alone: figures take longer than all the rest of a page."""
    monkeypatch.setattr("syntype.report.page.draw_all", lambda data: [])


@pytest.fixture(scope="module")
def full(fakes, quick, tmp_path_factory):
    return report(fakes, quick, tmp_path_factory.mktemp("full"), groups=("Bird", "Fish", HOSTILE))


class Tags(html.parser.HTMLParser):
    """Collects every tag with its attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def tags_of(page):
    parser = Tags()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.found


def test_the_page_loads_nothing_and_runs_nothing(full):
    _, page = full
    for tag, attributes in tags_of(page):
        assert tag not in {"script", "iframe", "object", "embed", "base"}
        for name in ("src", "href", "xlink:href", "poster", "action", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
        assert not any(name.startswith("on") for name in attributes)
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text


def test_hostile_names_are_shown_as_they_are(full):
    _, page = full
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_ids_are_unique_and_every_reference_is_met(full):
    _, page = full
    tags = tags_of(page)
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    text = page.read_text(encoding="utf-8")
    wanted = set(re.findall(r'(?:href="#|url\(#|labelledby=")([^")]+)', text))
    assert wanted <= set(ids)


def test_it_can_be_read_without_seeing(full):
    _, page = full
    tags = tags_of(page)
    names = [tag for tag, _ in tags]
    assert names.count("h1") == 1
    assert names.count("table") == names.count("caption") > 5
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    assert all(a.get("aria-label") for tag, a in tags if tag == "svg")
    assert ("html", {"lang": "en"}) in tags
    levels = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_figure_and_table_has_its_files(full):
    _, page = full
    figures = page.parent / "figures"
    for name in ("models", "change", "curve", "curve-groups", "quality", "training-pictures"):
        assert (figures / f"{name}.svg").read_bytes().startswith(b"<?xml")
        assert (figures / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        with Image.open(figures / f"{name}.png") as image:
            assert image.width > 1000
            assert np.asarray(image.convert("L")).std() > 5
    stems = {path.stem for path in (page.parent / "tables").iterdir()}
    for stem in stems:
        assert {path.suffix for path in (page.parent / "tables").glob(f"{stem}.*")} == {
            ".csv",
            ".json",
            ".tex",
        }


def test_report_json_holds_the_numbers_and_no_time_or_place(full):
    data, page = full
    text = (page.parent / "report.json").read_text()
    content = json.loads(text)
    assert len(content["scores"]) == len(data.scores)
    best = data.value(data.best.key)
    assert {"estimate": best.estimate, "lower": best.lower, "upper": best.upper} in [
        score["value"] for score in content["scores"] if score["model"] == data.best.key
    ]
    for path in [*page.parent.glob("*/*.*"), page.parent / "report.json"]:
        assert b"a-host" not in path.read_bytes()
        assert b"2031-02" not in path.read_bytes()
    assert json.loads((page.parent / "provenance.json").read_text()) == PROVENANCE


def test_equal_scores_give_equal_bytes(fakes, quick, tmp_path):
    first, second = (tmp_path / name for name in "ab")
    shape = {"groups": ("Bird",), "species_per_group": 4}
    for folder in (first, second):
        models = [fakes["evaluated"](name, name, 0.5, **shape) for name in ("base", "baseline")]
        data = compare(models, [], fakes["context"](), quick)
        write_report(data, folder, picture=picture, provenance=PROVENANCE)
    names = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert len(names) > 20
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_chromium_shows_the_page_without_complaint(full, tmp_path):
    _, page = full
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on this machine: the page was not loaded in a real browser")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--v=0", f"--user-data-dir={tmp_path}", f"--screenshot={tmp_path / 'shot.png'}",
            "--window-size=390,3000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    assert "Provenance" in done.stdout


@pytest.mark.parametrize(
    ("models", "shape", "figures"),
    [
        ("clusters", {}, ["models", "curve", "training-pictures"]),
        ("base", {}, ["models", "training-pictures"]),
        ("sweep", {"species_per_group": 0}, []),
    ],
)
def test_poor_inputs_still_make_a_page(fakes, quick, tmp_path, models, shape, figures):
    shape = {"groups": ("Bird",), "known_ranks": ("species",)} | shape
    made = {
        "clusters": lambda: [fakes["evaluated"]("c", "clusters", 0.5, k=9, **shape)],
        "base": lambda: [fakes["evaluated"]("b", "base", 0.5, **shape)],
        "sweep": lambda: fakes["sweep"](ks=(8, 24), seeds=(0,), **shape),
    }[models]()
    context = fakes["context"](dataset={}, stages=[], settings={}, n_modes=None)
    data = compare(made, [], context, quick)
    page = write_report(data, tmp_path, picture=lambda id: None, provenance={})
    folder = tmp_path / "figures"
    found = sorted(path.stem for path in folder.glob("*.svg")) if folder.exists() else []
    assert found == sorted(figures)
    assert "None" not in re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


def test_every_setting_is_on_the_page_however_many(fakes, quick, tmp_path, no_figures):
    settings = {"train": {f"option{number}": f"value{number}" for number in range(60)}}
    models = [fakes["evaluated"]("b", "base", 0.5, groups=("Bird",), species_per_group=2)]
    data = compare(models, [], fakes["context"](settings=settings), quick)
    page = write_report(data, tmp_path, picture=picture, provenance={})
    text = page.read_text(encoding="utf-8")
    for name, value in settings["train"].items():
        assert f"<dt>train.{name}</dt><dd>{value}</dd>" in text


def test_a_table_wider_than_the_text_may_leave_its_column_on_a_wide_screen(full):
    _, page = full
    css = page.read_text(encoding="utf-8").split("min-width: 56rem", 1)[1].split("@media")[0]
    assert re.search(r"\.table \{ width: fit-content; min-width: 100%; max-width: calc\(50vw", css)


def test_print_keeps_figures_and_tables_whole_and_opens_what_is_folded(full):
    _, page = full
    css = page.read_text(encoding="utf-8").split("@media print", 1)[1].split("</style>")[0]
    assert re.search(r"figure, tr \{ break-inside: avoid", css)
    assert re.search(r"\.table \{[^}]*break-inside: avoid", css)
    assert "details::details-content { content-visibility: visible" in css


@pytest.mark.parametrize(
    ("models", "kinds"), [("changed", ("Rescued", "Broken")), ("same", ("Right for", "Wrong for"))]
)
def test_neighbours_are_shown_whether_or_not_the_clusters_changed_an_answer(
    fakes, quick, tmp_path, no_figures, models, kinds
):
    shape = {"groups": ("Bird",), "species_per_group": 4}
    skill = {"changed": 0.9, "same": 0.3}[models]
    made = [fakes["evaluated"]("b", "base", 0.3, **shape)]
    made.append(fakes["evaluated"]("c", "clusters", skill, k=9, **shape))
    data = compare(made, [], fakes["context"](), quick)
    text = write_report(data, tmp_path, picture=picture, provenance={}).read_text(encoding="utf-8")
    assert any(f"<h3>{kind}" in text for kind in kinds)
    assert 'class="panel"' in text


def test_failures_and_what_was_left_out_are_named_on_the_page(full):
    _, page = full
    text = page.read_text(encoding="utf-8")
    assert "<b>k = 500</b>" in text
    assert "Left out: 1 (no JPEG: 1)." in text


def test_pictures_become_small_and_broken_ones_are_none():
    uri = data_uri(png("red", (900, 300)))
    assert uri.startswith("data:image/jpeg;base64,")
    assert len(uri) < 4000
    assert data_uri(None) is None
    assert data_uri(b"\x89PNG broken") is None


def test_nested_settings_become_rows():
    content = {"a": {"b": [1, 2], "c": None}, "d": [{"e": True}], "f": [], "g": {}}
    assert rows_of_json(content) == [
        ("a.b", "1, 2"),
        ("a.c", "–"),
        ("d.1.e", "yes"),
        ("f", "–"),
        ("g", "–"),
    ]


def test_long_notes_are_cut_and_say_so():
    rows = rows_of_json({"a": list(range(30)), "b": [{"id": number} for number in range(25)]})
    assert rows[0][1].endswith("18, 19 and 10 more")
    assert rows[-1] == ("b.…", "and 5 more")
    assert len(rows) == 1 + 20 + 1


def test_long_names_keep_their_ends_in_figures():
    names = [f"open_clip:hf-hub:imageomics/bioclip{end}" for end in ("", "-2")]
    made = [short(name) for name in names]
    assert made[0] != made[1]
    assert all(len(name) <= 26 for name in made)
    assert short("two\n lines") == "two lines"


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("n_stages", [1, 3, 4, 8])
def test_the_flow_chart_has_a_box_for_each_stage_and_an_arrow_between(n_stages, narrow):
    svg = draw_flow([Stage(f"S{i}", "detail " * 9, i == 0) for i in range(n_stages)], narrow)
    assert svg.count("<rect") == n_stages
    assert svg.count("<polygon") == n_stages - 1
    assert svg.count("kept") == 1
