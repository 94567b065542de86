import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.report import tables
from syntype.report.data import Value


@pytest.fixture(scope="module")
def made(compared):
    return compared, tables.all_tables(compared)


def table_of(*cells):
    columns = tuple(tables.Column(f"c{i}", f"C{i}") for i in range(len(cells)))
    return tables.Table("t", "caption", columns, (cells,))


def test_every_table_is_there_and_rectangular(made):
    _, found = made
    assert list(found) == [
        "comparisons", "models", "choices", "ranks", "similarities", "curve", "quality",
        "training-pictures", "dataset",
    ]  # fmt: skip
    for table in found.values():
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_csv_holds_the_numbers_in_full_with_intervals_apart(made):
    data, found = made
    rows = list(csv.DictReader(io.StringIO(tables.as_csv(found["models"]))))
    assert [row["model"] for row in rows] == [model.name for model in data.models]
    for row, model in zip(rows, data.models, strict=True):
        value = data.value(model.key, average="macro")
        assert float(row["macro"]) == value.estimate
        assert float(row["macro_lower"]) == value.lower
        assert float(row["macro_upper"]) == value.upper


def test_json_records_have_the_columns_of_the_csv(made):
    _, found = made
    for table in found.values():
        heads = next(csv.reader(io.StringIO(tables.as_csv(table))))
        assert all(list(record) == heads for record in tables.as_records(table))


def test_latex_is_booktabs_with_the_chosen_model_in_bold(made):
    data, found = made
    text = tables.as_latex(found["models"])
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    assert rf"\textbf{{{data.best.name}}}" in text
    body = text[text.index(r"\midrule") :].splitlines()[1 : 1 + len(found["models"].rows)]
    assert all(line.count(" & ") == len(found["models"].columns) - 1 for line in body)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30))
def test_latex_leaves_no_special_character_bare(text):
    escaped = tables.latex_text(text)
    for known in sorted(tables._LATEX.values(), key=len, reverse=True):
        escaped = escaped.replace(known, "")
    assert not set(escaped) & set("\\{}&%$#_^~\n")


def test_a_hostile_name_in_latex():
    text = tables.as_latex(table_of(r"\input{x} 50% & $a_1^2$ #~", "[b]"))
    expected = r"\textbackslash{}input\{x\} 50\% \& \$a\_1\textasciicircum{}2\$ \#\textasciitilde{}"
    assert expected in text
    assert "{}[b]" in tables.as_latex(table_of("[b]"))


def test_csv_quotes_and_empties():
    table = table_of('a,"b"\nc', None, Value(0.5))
    rows = list(csv.reader(io.StringIO(tables.as_csv(table))))
    assert rows == [["c0", "c1", "c2", "c2_lower", "c2_upper"], ['a,"b"\nc', "", "0.5", "", ""]]
