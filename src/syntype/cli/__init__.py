"""The command line: one sub-command per verb; the work lives in the modules they call.

Nothing heavy is imported before a verb runs. A module of verbs adds them to `app` when it is
imported, in the order in which `--help` lists them.
"""

from syntype.cli import (
    binding,
    catalogues,
    data,
    index,
    launching,
    models,
    scores,
    search,
    serving,
    sweeps,
)
from syntype.cli.app import app
from syntype.cli.launch import EXIT_INTERRUPTED, EXIT_OUR_FAULT, main

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_OUR_FAULT",
    "app",
    "binding",
    "catalogues",
    "data",
    "index",
    "launching",
    "main",
    "models",
    "scores",
    "search",
    "serving",
    "sweeps",
]
