"""From what was typed to a verb, and from every error to one line and an exit code.

A TOML file given by `--config` fills the same options as flags do, and flags win. Errors are one
line that says what to do; `--debug` adds the traceback. The exit codes are those of
`syntype.errors`, 2 for a wrong option, 130 for Ctrl-C.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, CycloptsError, MissingArgumentError, Parameter
from cyclopts.config import Dict

from syntype.cli.app import app
from syntype.errors import SyntypeError, UsageError

# OpenMP's threads spin while they wait for each other, which on shared processors made trainings
# six times slower (LOG.md, 2026-11-23). Read when torch is loaded, so it stands before that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

EXIT_INTERRUPTED, EXIT_OUR_FAULT = 130, 70


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Path | None = None,
    debug: bool = False,
) -> object:
    """Options before or after the verb.

    Args:
        tokens: The verb and its options.
        config: A TOML file with the verb's options; flags win over it.
        debug: Show the traceback of an error.
    """
    del debug  # read by `main`, which also sees errors of this very parse
    app.config = () if config is None else (_options_of(config),)
    return app(tokens)


def _options_of(path: Path) -> Callable[[App, tuple[str, ...], ArgumentCollection], None]:
    """What fills a verb's options from a TOML file.

    Cyclopts takes top-level keys that are also names of commands (`data`, `train` ...) for those
    commands' options, and passes over them; so the content is put below the verb's own name.

    Raises:
        UsageError: There is no such file, or it is not TOML.
    """
    import tomllib

    if not path.is_file():
        raise UsageError(f"There is no file {path}. Name a TOML file: --config sweep.toml.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}, given by --config, is not TOML: {error}.") from error

    def fill(current: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        nested: dict[str, Any] = content
        for name in reversed(commands):
            nested = {name: nested}
        Dict(nested, source=str(path))(current, commands, arguments)

    return fill


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: run, and turn every error into one line and an exit code.

    Raises:
        SystemExit: Always when something failed; with the code of the error.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app.meta(tokens)
    except SyntypeError as error:
        _fail(str(error), error.exit_code, tokens)
    except CycloptsError as error:
        _fail(_in_words(error), UsageError.exit_code, tokens)
    except KeyboardInterrupt:
        _fail(
            "Interrupted. The same command goes on where this one stopped.",
            EXIT_INTERRUPTED,
            tokens,
        )
    except Exception as error:  # the last line of defence: no traceback unless asked for
        _fail(
            f"{type(error).__name__}: {error} (this is our fault: run again with --debug and send "
            "us what it prints)",
            EXIT_OUR_FAULT,
            tokens,
        )


def _in_words(error: CycloptsError) -> str:
    """The parser's error; for a missing option, its name and what was typed instead."""
    if not isinstance(error, MissingArgumentError) or error.argument is None:
        return str(error)
    parts = error.argument.children or [error.argument]
    missing = [part.name for part in parts if part.required and not part.tokens]
    unknown = [token for token in map(str, error.unused_tokens or ()) if token.startswith("-")]
    verb = " ".join(["syntype", *(error.command_chain or ())])
    text = f"{verb} needs {' and '.join(missing)}"
    if unknown:
        text += f", and does not know {', '.join(unknown)}"
    return f"{text}. See {verb} --help."


def _fail(text: str, code: int, tokens: Sequence[str]) -> None:
    from syntype.terminal import show_error

    if "--debug" in tokens:
        import traceback

        traceback.print_exc()
    show_error(" ".join(text.split()))
    raise SystemExit(code)
