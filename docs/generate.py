"""Write the generated page of the command line, or check that it is up to date (--check)."""

import os
import sys
from pathlib import Path

os.environ["COLUMNS"] = "100"

from syntype.cli import app

PAGE = Path(__file__).parent / "reference" / "cli.md"
HEAD = """# Command line

<!-- Written by `make docs` from the commands themselves; a test compares the two. -->

Any option can stand in a TOML file given by `--config`: a top-level key is an option
(`k = [100, 500]`), a table is its prefix (`[train]` with `lr = 1e-3` is `--train.lr 1e-3`).
Flags win over the file.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 2 | an option is wrong, missing, or contradicts another |
| 3 | the data are missing or not as they must be |
| 4 | an encoder cannot be built: unknown, or its weights are missing, partial or random |
| 5 | vectors are broken (NaN), of another encoder, or not sealed |
| 6 | a training diverged, or has nothing to learn from |
| 7 | the machine refused: disk full, folder not writable |
| 8 | a part of a sweep failed; the others are finished and in the report |
| 70 | our fault: please report it |
| 130 | interrupted; the same command goes on |

"""


def page() -> str:
    """The page as it should be."""
    text = app.generate_docs(output_format="markdown").split("## Table of Contents")[1]
    lines = [line.rstrip() for line in text.splitlines()]
    text = "\n".join(lines).replace("(#syntype-install", "(#syntype---install")
    body = text.split("**Commands**:", 1)[1]
    return HEAD + "**Commands**:" + body.rstrip() + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != page():
            sys.exit(f"{PAGE} is out of date: run `make docs` and commit it.")
    else:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page())
