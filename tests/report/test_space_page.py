"""The page of a space of several modalities."""

import html.parser
import io
import json
import re
import wave
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from fakes.space_reports import curve, fake_map, fake_space_report, matrices, medium, song, value
from syntype.configs import EvaluateConfig
from syntype.evaluation.classification import Classes
from syntype.evaluation.combined import Answers, combine
from syntype.evaluation.cross_matrix import Views, cross_matrix
from syntype.evaluation.geography import TrainingPoints, audit
from syntype.evaluation.range_map import MapGrid, agreement, range_map
from syntype.report import space_from, space_media, space_svg, space_words
from syntype.report.data import Value
from syntype.report.space_data import CurvePoint, Medium, SpaceReport, StepRow
from syntype.report.space_page import render, write_space_page
from syntype.taxonomy.taxon import NOWHERE

HOSTILE = '<script>alert("x")</script> & co'
# Tags that have no end.
EMPTY = {"meta", "link", "img", "br"}


class Tags(html.parser.HTMLParser):
    """Collects tags, attributes, text, and whether all that is opened is closed."""

    def __init__(self):
        super().__init__()
        self.found, self.text, self.open = [], "", []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(page):
    parser = Tags()
    parser.feed(page)
    assert not parser.open
    return parser


@pytest.fixture(scope="module")
def page():
    return render(fake_space_report())


@pytest.fixture(scope="module")
def tags(page):
    return parsed(page)


def test_the_page_needs_no_other_file_and_no_script(tags):
    for tag, attributes in tags.found:
        assert tag != "script"
        for name in ("src", "href"):
            link = attributes.get(name) or "data:"
            assert link.startswith(("data:", "#")), link
    assert len([tag for tag, _ in tags.found if tag == "h1"]) == 1


def test_every_link_of_the_contents_leads_somewhere(tags):
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in tags.found:
        link = attributes.get("href") or ""
        if link.startswith("#"):
            assert link[1:] in ids


def test_every_picture_has_words(tags):
    for tag, attributes in tags.found:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes["aria-label"]
        if tag == "audio":
            assert attributes["aria-label"]


def test_the_page_shows_what_issue_and_reader_ask_for(tags):
    audio = [attributes["src"] for tag, attributes in tags.found if tag == "audio"]
    assert len(audio) == 6
    assert all(one.startswith("data:audio/wav;base64,") for one in audio)
    for words in ("Every modality searched", "Patching", "What each step did", "Naming species",
                  "Examples", "Range maps", "Where on Earth", "What is missing",
                  "How to make it again", "Take care.", "Provenance"):  # fmt: skip
        assert words in tags.text
    cells = [a for tag, a in tags.found if tag == "td" and "title" in a]
    assert len(cells) == 30 + 3 * 36
    assert "by chance 1.1 %" in cells[0]["title"]
    assert "gallery of" in cells[0]["title"]


def test_what_cannot_be_told_from_chance_is_marked(page):
    whole = fake_space_report()
    n_luck = sum(
        not space_words.above_chance(cell, "Recall@1")
        for matrix in whole.matrices
        for cell in matrix.cells
    )
    assert n_luck > 0
    assert len(re.findall(r'<td class="h\d luck"', page)) == n_luck


def test_equal_numbers_give_equal_bytes(page):
    assert render(fake_space_report()) == page
    other = render(fake_space_report(provenance={"time": "later"}))
    assert other.split("<footer>")[0] == page.split("<footer>")[0]


def test_an_empty_report_is_a_page_too():
    bare = SpaceReport(
        title="x", dataset="d", binder="b", modalities=(), n=0, n_units=0, n_species=0, split="test"
    )
    tags = parsed(render(bare))
    assert "Nothing was scored." in tags.text
    assert "Nothing was left out." in tags.text
    assert "Range maps" not in tags.text


def test_names_cannot_break_out_of_the_page():
    hostile = fake_space_report(
        title=HOSTILE,
        dataset=HOSTILE,
        warnings=[HOSTILE],
        left_out=[HOSTILE],
        commands=[HOSTILE],
        curves=[replace(curve(HOSTILE), patching_task=HOSTILE,
                        points=[CurvePoint(alpha=0.0, scores={HOSTILE: value(0.5)})])],
        step_rows=[StepRow(task=HOSTILE, scores={"locked": value(0.1)})],
        maps=[replace(fake_map(), name=HOSTILE, warning=HOSTILE, file=HOSTILE)],
        provenance={HOSTILE: HOSTILE},
        settings={HOSTILE: HOSTILE},
    )  # fmt: skip
    tags = parsed(render(hostile))
    assert not [tag for tag, _ in tags.found if tag == "script"]


def test_the_files_hold_all_numbers_and_no_media(tmp_path):
    path = write_space_page(fake_space_report(), tmp_path)
    assert path == tmp_path / "index.html"
    assert {one.name for one in tmp_path.iterdir()} == {"index.html", "report.json"}
    content = json.loads((tmp_path / "report.json").read_text())
    assert len(content["matrices"][0]["cells"]) == 30
    assert content["maps"][0]["box"] == [-12.0, 35.0, 48.0, 71.0]
    assert content["curves"][0]["chosen"] == 0.4
    assert "provenance" not in content
    assert path.stat().st_size < 2**20


# Words


def test_the_headline_claims_no_more_than_the_intervals():
    told = space_words.headline(fake_space_report())
    n = sum(space_words.above_chance(c, "Recall@1") or 0 for c in matrices()[0].cells)
    assert f"In {n} of 30 pairs of modalities" in told
    assert "helps 1 of 3 tasks, hurts 1, and shows no effect on 1" in told
    assert "image + sound: 71.0" in told
    nothing = StepRow(
        task="t", scores={"patched": value(0.5)}, changes={"patched": Value(0.1, -0.1, 0.3)}
    )
    quiet = space_words.headline(
        fake_space_report(matrices=(), combinations=(), step_rows=[nothing])
    )
    assert quiet == "The last step (patched) shows no effect on any of 1 task."


def test_a_change_without_an_interval_is_undecided():
    assert space_words.verdict(Value(0.5)) == "undecided"
    assert space_words.verdict(Value(0.5, 0.1, 0.9)) == "helps"
    assert space_words.verdict(Value(-0.5, -0.9, -0.1)) == "hurts"


def test_no_patching_is_said():
    assert "nothing was changed" in space_words.curve_sentence(curve("a", chosen=0.0))


# Figures


def test_each_task_has_a_panel_with_the_chosen_alpha_and_the_budget():
    drawn = space_svg.curves(curve("a"), narrow=False)
    assert drawn.count('class="taken"') == 4
    assert drawn.count('class="floor"') == 2
    assert drawn.count('class="chosen"') == 4
    assert drawn.count("<title>") == 44
    assert drawn.index("sound to image") < drawn.index("image to text")  # what is patched is first


def test_a_task_without_numbers_has_an_empty_panel():
    bare = replace(
        curve("a"), points=[CurvePoint(alpha=0.0, scores={"sound to image": Value(None)})]
    )
    assert "nan" not in space_svg.curves(bare, narrow=True)
    assert "nan" not in space_svg.dots([("a", {"": Value(None)})], narrow=True, x="score")


def test_marks_differ_in_shape_and_not_in_colour_alone():
    rows = [("task", {name: value(0.5) for name in ("a", "b", "c", "d")})]
    drawn = space_svg.dots(rows, narrow=False, x="score")
    shapes = re.findall(r'<g class="dot c-(\d)"><(\w+)', drawn)[-4:]
    assert [n for n, _ in shapes] == ["1", "2", "3", "4"]
    paths = re.findall(r'<g class="dot c-[34]"><path d="M[\d. ]+l([\d.]+)', drawn)
    assert [kind for _, kind in shapes[:2]] == ["circle", "rect"]
    assert len(set(paths)) == 2


def test_shades_rise_evenly_in_darkness():
    colours = space_svg.shade(np.linspace(0, 1, 9)).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(colours) < 0).all()


def test_a_map_is_drawn_at_its_corner_and_hides_what_is_masked():
    drawn = space_svg.draw_map(fake_map())
    assert drawn.count('class="seen"') == 3
    assert "data:image/png;base64," in drawn
    assert "10°W" in drawn
    assert "true range" in space_svg.draw_map(fake_map(), truth=True)


# Media


def test_a_small_wav_is_small_and_keeps_its_pitch():
    rate = 48000
    t = np.arange(rate * 20) / rate
    content = space_media.small_wav(np.sin(2 * np.pi * 1000 * t).astype(np.float32) * 3, rate)
    assert len(content) <= space_media.MOST_SOUND_BYTES
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getframerate(), file.getnframes()) == (16000, 48000)
        heard = np.frombuffer(file.readframes(48000), "<i2").astype(float)
    peak = np.abs(np.fft.rfft(heard)).argmax() * 16000 / len(heard)
    assert peak == pytest.approx(1000, abs=1)
    low = space_media.small_wav(np.zeros(800, np.float32), 8000)
    with wave.open(io.BytesIO(low)) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 800)


def test_sounds_that_are_too_long_or_none_are_told():
    assert space_media.sound_uri(None) is None
    assert space_media.sound_uri(b"RIFF" + bytes(200_000)) is None
    assert space_media.sound_uri(b"what is this") is None
    assert space_media.sound_uri(b"fLaC....").startswith("data:audio/flac")
    assert space_media.spectrogram_uri(song()).startswith("data:image/png")
    assert space_media.spectrogram_uri(b"RIFF....broken") is None
    broken = space_media.shown(Medium(kind="sound", caption="x", content=b"RIFF" + bytes(200_000)))
    assert "too long" in broken["absent"]
    assert space_media.shown(Medium(kind="image", caption="x"))["absent"] == "no picture"
    assert space_media.shown(medium("place"))["text"] == "48.86°N 2.35°E"


# From evaluation


def evaluated():
    """A matrix, combinations, an audit and a map of random vectors."""
    rng = np.random.default_rng(0)
    n = 40
    species = rng.choice(["aa", "ab", "ba"], n).tolist()
    columns = {
        "id": [f"o{i}" for i in range(n)],
        "unit": [f"u{i}" for i in range(n)],
        "taxonGroup": ["Bird"] * n,
        "species": species,
        "genus": [name[0] for name in species],
        "family": ["F"] * n,
    }
    vectors = {
        name: (columns["id"][:k], rng.standard_normal((k, 4)).astype(np.float32))
        for name, k in (("image", n), ("sound", 25))
    }
    config = EvaluateConfig(resamples=100, confidence=0.9)
    matrix = cross_matrix(Views.of(pa.table(columns), vectors), config)
    classes = Classes(["aa", "ab", "ba"], [(*NOWHERE[:5], x[0], x) for x in ("aa", "ab", "ba")])
    every = np.arange(n)
    answers = [
        Answers(("image",), every, rng.integers(0, 3, (n, 1))),
        Answers(("image", "sound"), every[:25], rng.integers(0, 3, (25, 1))),
        Answers(("image", "sound"), every[:25], rng.integers(0, 3, (25, 1)), "sound shuffled"),
    ]
    labels = {rank: columns[rank] for rank in ("species", "genus", "family")}
    combined = combine(labels, columns["unit"], classes, answers, config)
    where = {"latitude": rng.uniform(-60, 60, n), "longitude": rng.uniform(-180, 180, n)}
    found = audit(
        rng.integers(0, 2, n).astype(float),
        columns["unit"],
        **where,
        training=TrainingPoints.of(**where),
        config=config,
    )
    grid = MapGrid.around(south=0, north=20, west=0, east=30, degrees=1)
    made = range_map("aa", np.ones(3), rng.standard_normal((600, 3)), grid)
    return matrix, combined, found, made


def test_what_evaluation_finds_can_be_shown():
    matrix, combined, found, made = evaluated()
    truth = made.similarity > 0
    view = space_from.map_view(
        made, truth=agreement(made, truth, resamples=100), true_range=truth, file="x.tif"
    )
    assert (view.south, view.east) == (0, 30)
    assert set(view.metrics) == {"AUC", "average precision", "Boyce index"}
    report = SpaceReport(
        title="x",
        dataset="d",
        binder="b",
        modalities=matrix.modalities,
        n=40,
        n_units=40,
        n_species=3,
        split="test",
        matrices=space_from.level_matrices(matrix),
        combinations=space_from.combination_rows(combined),
        gains=space_from.gain_rows(combined),
        maps=[view],
        audit=space_from.audit_views(found),
        audit_metric="top-1",
        audit_notes=space_from.audit_notes(found),
        presence=space_from.presences(matrix),
    )
    tags = parsed(render(report))
    assert [one.level for one in report.matrices] == ["instance", "species", "genus", "family"]
    assert len(report.matrices[0].cells) == 2
    assert report.presence[1].missing == {"missing": 15}
    assert [one.baseline for one in report.combinations] == [False, False, True]
    assert "if every cell counted the same," in tags.text
    assert "image + sound (sound shuffled)" in tags.text
