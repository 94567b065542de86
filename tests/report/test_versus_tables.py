import csv
import io
import re

import pytest

from fakes.versus import fake_entries
from syntype.configs import EvaluateConfig
from syntype.report import tables
from syntype.report.data import Value
from syntype.report.published import columns_beside
from syntype.report.versus import contrast
from syntype.report.versus_tables import (
    difference,
    head,
    interval,
    latex,
    long,
    metric_words,
    rank_words,
    terminal_rows,
    wide,
)

QUICK = EvaluateConfig(resamples=400)
BIOCLIP = "open_clip:hf-hub:imageomics/bioclip"
PLACES = (("Rare Species", "zero-shot"), ("S_2 & 50%", "retrieval"))


@pytest.fixture(scope="module")
def made():
    skills = {BIOCLIP: 0.6, r"evil \input{x} & co_1 $50%$ #~^": 0.58, "[poor]": 0.2}
    entries = fake_entries(skills, PLACES)
    versus = contrast(entries[:-1], QUICK)  # [poor] was not evaluated on the second set
    return versus, columns_beside(versus)


def rows_of(table):
    return list(csv.DictReader(io.StringIO(tables.as_csv(table))))


def test_metrics_in_words():
    assert metric_words("speciesHit@1") == "species Recall@1"
    assert metric_words("genusTop@5", "genus") == "genus top-5 accuracy"
    assert metric_words("species5Shot") == "species 5-shot accuracy"
    assert metric_words("speciesAveragePrecisionAtR") == "species mAP@R"
    assert metric_words("speciesBCubedF1") == "species BCubed F1"
    assert metric_words("hierarchicalDistance@3") == "hierarchical distance@3"
    assert metric_words("exact match of nine traits") == "exact match of nine traits"


def test_the_wide_table_has_every_measured_number_in_full(made):
    versus, beside = made
    rows = rows_of(wide(versus, beside))
    assert [row["model"] for row in rows] == list(versus.models)
    for row in rows:
        for column in versus.columns:
            cell = versus.cell(column, row["model"])
            if cell is None:
                assert row[column.key] == row[f"{column.key}_rank"] == ""
                continue
            assert float(row[column.key]) == cell.value.estimate
            assert float(row[f"{column.key}_upper"]) == cell.value.upper
            assert float(row[f"{column.key}_micro"]) == cell.other.estimate
            assert float(row[f"{column.key}_rank"]) == cell.rank
            assert row[f"{column.key}_mark"] == ("best" if cell.best else "tied" * cell.tied)
    assert rows[-1]["mean"] == rows[-1]["mean_rank"] == ""


def test_published_numbers_have_the_last_columns_to_themselves(made):
    versus, beside = made
    heads = [one.key for one in wide(versus, beside).columns]
    n = len(beside)
    assert n == 4
    assert all(key.startswith("published/") for key in heads[-n:])
    assert not any(key.startswith("published/") for key in heads[:-n])
    (row,) = [row for row in rows_of(wide(versus, beside)) if row["model"] == BIOCLIP]
    assert float(row["published/bioclip-card/Rare Species/speciesTop@1"]) == 0.392


def test_the_long_table_has_every_pair(made):
    versus, _ = made
    rows = rows_of(long(versus))
    assert len(rows) == len(versus.pairs) == 3 + 1
    for row, pair in zip(rows, versus.pairs, strict=True):
        assert f"{row['set']}/{row['task']}/{row['metric']}" == pair.column
        assert (row["first"], row["second"]) == (pair.first, pair.second)
        for name in ("p", "p_holm", "p_permutation"):
            assert float(row[name]) == getattr(pair, name)
        assert float(row["difference_lower"]) == pair.difference.lower
        assert row["shown"] == ("yes" if pair.shown else "no")


def test_latex_rows_fit_and_nothing_special_is_bare(made):
    versus, beside = made
    text = latex(versus, beside, "50 % of_it & more")
    assert r"\caption{50 \% of\_it \& more}" in text
    assert r"evil \textbackslash{}input\{x\} \& co\_1 \$50\%\$ \#\textasciitilde{}" in text
    assert r"\multicolumn{1}{c}{S\_2 \& 50\%}" in text
    assert "\n{}[poor] &" in text
    for part in text.split(r"\begin{table}")[1:]:
        width = len(re.search(r"\\begin\{tabular\}\{(l?r+)\}", part)[1])
        body = part[part.index(r"\midrule") : part.index(r"\bottomrule")].splitlines()[1:]
        assert body
        assert all(len(re.findall(r"(?<!\\)&", line)) == width - 1 for line in body)
        assert all(line.endswith(r" \\") for line in body)
        for name in ("toprule", "midrule", "bottomrule"):
            assert part.count(rf"\{name}") == 1
    assert text.count("{") == text.count("}")


def test_latex_marks_the_best_and_the_ties(made):
    versus, _ = made
    text = latex(versus, (), "")
    column = versus.columns[0]
    best, tied = versus.top(column)
    share = f"{100 * versus.cell(column, best[0]).value.estimate:.1f}"
    assert rf"\textbf{{{share}}} {{\scriptsize [" in text
    assert tied
    share = f"{100 * versus.cell(column, tied[0]).value.estimate:.1f}"
    assert rf"{share}$^\dagger$ {{\scriptsize [" in text


def test_terminal_rows_have_a_cell_for_every_head(made):
    versus, _ = made
    heads, rows = terminal_rows(versus)
    assert all(len(row) == len(heads) for row in rows)
    assert heads[1] == head(versus.columns[0])
    text = "\n".join(" ".join(row) for row in rows)
    assert re.search(r"\d\d\.\d\* \[\d\d\.\d,\u00a0\d\d\.\d\] \(1\)", text)
    assert "†" in text
    assert rows[-1][-2:] == ["–", "–"]


def test_one_column_has_no_means():
    heads, _ = terminal_rows(contrast(fake_entries({"a": 0.5, "b": 0.4}), QUICK))
    assert heads == ["model", "A, retrieval: species Recall@1"]


def test_distances_are_numbers_and_not_per_cent():
    entries = fake_entries({"a": 0.9, "b": 0.4})
    (column,) = contrast(entries, QUICK, metrics=["hierarchicalDistance@1"]).columns
    assert interval(Value(1.25, 1.0, 1.5), column) == "[1.00,\u00a01.50]"
    assert difference(Value(-1.25, -1.5, -1.0), column) == "−1.25 [−1.50,\u00a0−1.00]"


def test_shared_ranks_show_their_half():
    assert [rank_words(one) for one in (1.0, 1.5, None)] == ["1", "1.5", "–"]
