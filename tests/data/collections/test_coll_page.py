"""The page of the large sets says what the code does."""

from pathlib import Path

import pytest

from syntype.data.collections.published_names import clean_ranks
from syntype.data.collections.registry import COLLECTIONS

PAGE = (Path(__file__).parents[3] / "docs/reference/collections.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(COLLECTIONS))
def test_the_table_has_each_set(name: str) -> None:
    collection = COLLECTIONS[name]
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}:FOLDER`")]
    _, _, title, parts, layout, terms, _ = row.split("|")
    assert title.strip() == collection.title
    assert terms.strip() == collection.license
    assert layout.strip() == "<br>".join(f"`{line}`" for line in collection.layout)
    told = {word.strip("`#") for word in parts.split() if word.startswith("`#")}
    assert told == {part for part in collection.parts if part}


def test_the_rule_that_the_page_warns_of() -> None:
    names, rules = clean_ranks(("", "", "", "", "", "Homo", "sp. x."))
    assert names[-1] == "sp."
    assert rules == ("behind_name",)
