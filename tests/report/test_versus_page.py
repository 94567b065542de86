import csv
import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakes.versus import fake_entries
from syntype.configs import EvaluateConfig
from syntype.report import versus_words
from syntype.report.published import columns_beside
from syntype.report.versus import contrast
from syntype.report.versus_figure import draw
from syntype.report.versus_page import write_versus

QUICK = EvaluateConfig(resamples=400)
BIOCLIP = "open_clip:hf-hub:imageomics/bioclip"
HOSTILE = '<script>alert("x")</script> & $\\frac{1}{2}$'
PLACES = (("Rare Species", "zero-shot"), (HOSTILE, "retrieval"))
# Columns whose names say it all.
WORDS = {"model", "set", "task", "metric", "first", "second", "mean", "mean_rank", "n_top"}
FILES = {
    "index.html",
    "comparison.json",
    "comparison.csv",
    "pairs.csv",
    "comparison.tex",
    "comparison.svg",
    "comparison.png",
}


@pytest.fixture(scope="module")
def numbers():
    versus = contrast(fake_entries({BIOCLIP: 0.6, HOSTILE: 0.58, "poor": 0.2}, PLACES), QUICK)
    return versus, columns_beside(versus)


@pytest.fixture(scope="module")
def folder(numbers, tmp_path_factory):
    versus, beside = numbers
    place = tmp_path_factory.mktemp("versus")
    page = write_versus(versus, place, title=HOSTILE, beside=beside, provenance={"time": HOSTILE})
    assert page == place / "index.html"
    return place


class Tags(html.parser.HTMLParser):
    """Collects every tag with its attributes, and the text."""

    def __init__(self):
        super().__init__()
        self.found, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def parsed(folder):
    parser = Tags()
    parser.feed((folder / "index.html").read_text(encoding="utf-8"))
    return parser


def test_the_files_are_those_of_the_docstring(folder):
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_reference_page_names_every_file_and_column(folder):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "compare.md").read_text()
    table = page.split("## Files")[1].split("##")[0]
    for name in FILES:
        stem, _, ending = name.rpartition(".")
        assert f"`{name}`" in table or (f"`{stem}." in table and f"`.{ending}`" in table)
    for name in ("comparison.csv", "pairs.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            heads = next(csv.reader(file))
        for head in heads:
            ending = re.sub(r"^.*/.*/[^_]*", "KEY", head)
            known = f"`{ending}`" in page or "published/" in head or "_micro" in head
            assert known or head in WORDS or head.endswith(("_lower", "_upper")), head


def test_the_page_loads_nothing_runs_nothing_and_escapes(folder):
    page = parsed(folder)
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.found:
        assert tag not in {"script", "iframe", "object", "embed", "base"}
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:"))
            if value and tag == "a":
                assert value[1:] in ids
    assert HOSTILE in page.text


def test_the_page_shows_measured_and_published_numbers_apart(folder, numbers):
    _, beside = numbers
    text = (folder / "index.html").read_text(encoding="utf-8")
    measured = text[text.index('id="table-comparison"') : text.index('id="pairs"')]
    published = text[text.index('id="published"') : text.index('id="methods"')]
    assert ">38.09<" in published
    assert ">38.09<" not in measured
    assert "<b>" in measured
    assert "<sup>†</sup>" in measured
    assert "<b>" not in published
    for one in beside:
        assert one.source in parsed(folder).text


def test_equal_numbers_are_equal_bytes(folder, numbers, tmp_path):
    versus, beside = numbers
    write_versus(versus, tmp_path, title=HOSTILE, beside=beside, provenance={"time": HOSTILE})
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_provenance_shows_in_the_footer_only(folder, numbers, tmp_path):
    versus, beside = numbers
    write_versus(versus, tmp_path, title=HOSTILE, beside=beside)
    for name in FILES - {"index.html"}:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert (folder / "index.html").read_text(encoding="utf-8").startswith(page.split("</main>")[0])


def measured_parts(folder):
    """Everything in the files that is not about published numbers."""
    text = (folder / "index.html").read_text(encoding="utf-8")
    with (folder / "comparison.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "json": json.loads((folder / "comparison.json").read_text())["measured"],
        "csv": [
            {name: cell for name, cell in row.items() if not name.startswith("published/")}
            for row in rows
        ],
        "tex": (folder / "comparison.tex").read_text().split("\n\n")[0].strip(),
        "page": text[text.index("<section") : text.index("</section>", text.index('id="pairs"'))],
        "answer": text[text.index('class="answer"') : text.index("<nav")],
        "methods": text[text.index('id="methods"') : text.index("<footer>")],
        **{
            name: (folder / name).read_bytes()
            for name in ("pairs.csv", "comparison.svg", "comparison.png")
        },
    }


@pytest.mark.parametrize("changed", ["other values", "none at all"])
def test_a_published_number_changes_no_measured_one(folder, numbers, tmp_path, changed):
    versus, beside = numbers
    other = [replace(one, values=dict.fromkeys(one.values, 99.9)) for one in beside]
    other = other if changed == "other values" else []
    write_versus(versus, tmp_path, title=HOSTILE, beside=other, provenance={"time": HOSTILE})
    before, after = (
        json.loads((one / "comparison.json").read_text())["published"] for one in (folder, tmp_path)
    )
    assert before != after
    assert measured_parts(tmp_path) == measured_parts(folder)


@pytest.mark.parametrize(
    ("title", "start"), [("Which?", "Which? Every"), ("Birds", "Birds. Every")]
)
def test_the_caption_of_the_latex_table_starts_with_one_full_stop(numbers, tmp_path, title, start):
    write_versus(numbers[0], tmp_path, title=title)
    assert rf"\caption{{{start} model" in (tmp_path / "comparison.tex").read_text()


def test_the_json_holds_every_number(folder, numbers):
    versus, beside = numbers
    content = json.loads((folder / "comparison.json").read_text())
    assert len(content["measured"]["cells"]) == len(versus.cells)
    assert len(content["measured"]["pairs"]) == len(versus.pairs)
    assert content["measured"]["pairs"][0]["p_holm"] == versus.pairs[0].p_holm
    assert [one["values"] for one in content["published"]] == [one.values for one in beside]


def test_one_model_and_nothing_to_score_still_make_a_folder(tmp_path):
    alone = contrast(fake_entries({"only": 0.5}), QUICK)
    write_versus(alone, tmp_path / "one", title="One")
    assert "only stands alone" in parsed(tmp_path / "one").text
    empty = contrast(fake_entries({"a": 0.5, "b": 0.5}, n_species=0), QUICK)
    write_versus(empty, tmp_path / "empty", title="None")
    assert "Nothing can be scored" in parsed(tmp_path / "empty").text


def test_the_answer_follows_from_the_numbers():
    def answer(skills, places=(("A", "retrieval"),)):
        return versus_words.answer(contrast(fake_entries(skills, places), QUICK))

    one = answer({"high": 0.9, "low": 0.2})
    assert re.fullmatch(
        r"Of 2 models on A, retrieval: species Recall@1, the best is high with \d\d\.\d % "
        r"\[.*\]; every other model is shown to be worse\.",
        one,
    )
    assert "cannot be told from that." in answer({"x": 0.6, "y": 0.6})
    several = answer({"high": 0.9, "low": 0.2}, (("A", "retrieval"), ("B", "knn")))
    assert several.startswith("Of 2 models, high is the best, or not told apart from the best, in ")
    assert "in 2 of 2 columns. The highest mean is that of high: " in several


def test_models_of_different_sets_cannot_be_compared():
    apart = fake_entries({"a": 0.5}) + fake_entries({"b": 0.5}, (("B", "retrieval"),))
    versus = contrast(apart, QUICK)
    assert "No two models were evaluated on the same set" in versus_words.answer(versus)
    assert all(one.mean is None for one in versus.standings)
    sentence = "a has no mean and no mean rank: it was not evaluated in B, retrieval: species"
    assert versus_words.gaps(versus)[0].startswith(sentence)


def test_gaps_say_why_there_is_no_mean():
    entries = fake_entries({"a": 0.5, "b": 0.6})
    distances = contrast(entries, QUICK, metrics=["hierarchicalDistance@1"])
    assert "no common scale" in versus_words.gaps(distances)[0]
    mixed = contrast(entries, QUICK, metrics=["speciesHit@1", "hierarchicalDistance@1"])
    assert "no common unit" in versus_words.gaps(mixed)[0]


def test_the_check_counts_the_disagreements(numbers):
    versus, _ = numbers
    agree = replace(versus, pairs=tuple(replace(one, disagree=False) for one in versus.pairs))
    assert "same side of 0.05 as the bootstrap in each" in versus_words.check(agree)
    first = replace(versus.pairs[0], disagree=True)
    other = replace(agree, pairs=(first, *agree.pairs[1:]))
    assert "In 1 of them it lies on the other side" in versus_words.check(other)
    assert versus_words.disagreements(other) == [first]


def test_lists_of_names():
    assert versus_words.listed([]) == ""
    assert versus_words.listed(["a"]) == "a"
    assert versus_words.listed(["a", "b", "c"]) == "a, b and c"
    assert versus_words.listed(list("abcde")) == "a, b, c, d and e"
    assert versus_words.listed(list("abcdef")) == "a, b, c, d and 2 more"


def test_the_picture_names_every_model_and_panel(numbers):
    versus, _ = numbers
    drawn = draw(versus)
    for figure in (drawn.wide, drawn.narrow):
        assert len(figure.axes) == len(versus.columns)
        texts = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert len(texts) == len(versus.models)
        assert "Rare Species\nzero-shot" in [ax.get_title(loc="left") for ax in figure.axes]
    for column in versus.columns:
        assert column.set in drawn.alt


def test_distances_run_backwards_so_that_right_is_better():
    entries = fake_entries({"a": 0.9, "b": 0.3})
    drawn = draw(contrast(entries, QUICK, metrics=["speciesHit@1", "hierarchicalDistance@1"]))
    assert [ax.xaxis_inverted() for ax in drawn.wide.axes] == [False, True]


def test_a_model_that_was_not_evaluated_has_words_for_a_point():
    entries = fake_entries({"a": 0.9, "b": 0.3}, (("A", "retrieval"), ("B", "knn")))
    drawn = draw(contrast(entries[:-1], QUICK))
    words = [[text.get_text() for text in ax.texts] for ax in drawn.wide.axes]
    assert words == [[], ["not evaluated"]]


def test_the_png_is_a_picture_of_some_size(folder):
    with Image.open(folder / "comparison.png") as image:
        assert image.width > 1400
        assert np.asarray(image.convert("L")).std() > 5
