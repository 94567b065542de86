"""The reference page says what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from syntype.configs.curate import CurateConfig
from syntype.data.curation.curate import TABLE
from syntype.data.curation.rules import VERDICTS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "curation.md").read_text()


def test_the_page_names_every_verdict_column_and_option():
    first_cells = re.findall(r"^\| (`[^|]*`) \|", PAGE, flags=re.MULTILINE)
    named = [name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)]
    assert [name for name in named if name in VERDICTS] == [*VERDICTS[1:], VERDICTS[0]]
    assert set(TABLE.names) <= set(named)
    for field in fields(CurateConfig):
        option = f"--curate.{field.name.replace('_', '-')}"
        assert option in PAGE or option.replace(".", ".no-") in PAGE, option
    config = CurateConfig()
    for text in (
        f"`--curate.near` {config.near} ",
        f"`--curate.against-near` {config.against_near} ",
        f"`--curate.cosine` {config.cosine},",
        f"`--curate.blank` {config.blank:g} ",
    ):
        assert text in PAGE
