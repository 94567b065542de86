"""The command line: one sub-command per verb; the work lives in the modules they call.

Nothing heavy is imported before a verb runs. A TOML file given by `--config` fills the same
options as flags do, and flags win. Errors are one line that says what to do; `--debug` adds the
traceback. The exit codes are those of `syntype.errors`, 2 for a wrong option, 130 for Ctrl-C.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, ArgumentCollection, CycloptsError, MissingArgumentError, Parameter
from cyclopts.config import Dict

from syntype.configs import (
    ClusterConfig,
    EmbedConfig,
    EmbedOptions,
    EvaluateConfig,
    EvaluateOptions,
    Expected,
    KMeansConfig,
    KMeansOptions,
    Objective,
    Place,
    Samples,
    SweepConfig,
    TrainConfig,
    TrainOptions,
    Workplace,
)
from syntype.errors import DataNotFoundError, SyntypeError, UsageError
from syntype.version import __version__

if TYPE_CHECKING:
    from syntype.sweep import Workshop

# OpenMP's threads spin while they wait for each other, which on shared processors made trainings
# six times slower (LOG.md, 2026-11-23). Read when torch is loaded, so it stands before that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

EXIT_INTERRUPTED, EXIT_OUR_FAULT = 130, 70

app = App(
    name="syntype",
    help="How many clusters describe a species best? Train, evaluate and compare image "
    "embeddings for biodiversity.",
    version=__version__,
    default_parameter=Parameter(consume_multiple=True, negative=(), negative_iterable=()),
    help_format="plaintext",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
app.meta.suppress_keyboard_interrupt = False  # not inherited: `main` says what an interrupt means
app.register_install_completion_command()
data_app = App(name="data", help="Look at data sets before using them.")
app.command(data_app)

Split = Literal["train", "val", "test"]
_DEFAULT_PLACE = Workplace()


def _workshop(samples: Samples, embed: EmbedConfig, place: Workplace) -> "Workshop":
    from syntype.sweep import Workshop
    from syntype.terminal import progress_of

    return Workshop.open(samples, embed, place, progress_of(place.quiet))


@data_app.command(name="info")
def data_info(samples: Samples, place: Place = _DEFAULT_PLACE) -> None:
    """Rows, species, splits, singletons, what was cleaned, guessed, left out; duplicates.

    Args:
        samples: Which samples.
        place: Where to work.
    """
    from syntype.data.load import load_dataset
    from syntype.sweep.tables import data_tables
    from syntype.terminal import progress_of, show_table

    progress = progress_of(place.quiet)
    dataset = load_dataset(
        samples, workspace=place.workspace, progress=progress, workers=place.workers
    )
    for table in data_tables(dataset):
        show_table(*table)


@data_app.command(name="list")
def data_list() -> None:
    """The kinds of data sets that can be read, and how to name them."""
    from syntype.data.load import SOURCES
    from syntype.terminal import show_table

    show_table("Data sets", ("name them as", "what they are"), SOURCES)


@app.command
def embed(
    samples: Samples,
    *,
    encoder: tuple[str, ...] = ("descriptors",),
    embed: EmbedOptions = EmbedConfig(),  # noqa: B008 - frozen
    place: Place = _DEFAULT_PLACE,
) -> None:
    """Turn pictures into unit vectors on disk, and print the folders that hold them.

    Args:
        samples: Which samples.
        encoder: Encoders to embed with; docs/reference/encoders.md names them all.
        embed: How pictures become vectors.
        place: Where to work.
    """
    workshop = _workshop(samples, embed, place)
    for spec in encoder:
        sys.stdout.write(f"{workshop.vectors(workshop.encoder(spec)).folder}\n")


@app.command
def cluster(
    samples: Samples,
    *,
    k: tuple[int, ...] = (),
    base: str = "descriptors",
    embed: EmbedOptions = EmbedConfig(),  # noqa: B008 - frozen
    cluster: KMeansOptions = KMeansConfig(),  # noqa: B008 - frozen
    place: Place = _DEFAULT_PLACE,
) -> None:
    """Cluster the training pictures, and print each clustering's quality beside its ceiling.

    Args:
        samples: Which samples.
        k: Numbers of clusters.
        base: The encoder whose vectors are clustered.
        embed: How pictures become vectors.
        cluster: How vectors become clusters.
        place: Where to work.
    """
    from syntype.sweep.tables import cluster_table
    from syntype.terminal import show_table

    if not k:
        raise UsageError("Name at least one number of clusters: --k 100 500 1000.")
    workshop = _workshop(samples, embed, place)
    base_model = workshop.model(base, "base")
    made = [workshop.clusters(base_model, _with_k(cluster, each), max(k)) for each in k]
    show_table(*cluster_table(made))


def _with_k(config: KMeansConfig, k: int) -> ClusterConfig:
    return ClusterConfig.of(config, k)


@app.command
def train(
    samples: Samples,
    *,
    k: int = 0,
    base: str = "descriptors",
    objective: Objective = "clusters",
    embed: EmbedOptions = EmbedConfig(),  # noqa: B008 - frozen
    cluster: KMeansOptions = KMeansConfig(),  # noqa: B008 - frozen
    train: TrainOptions = TrainConfig(),  # noqa: B008 - frozen
    place: Place = _DEFAULT_PLACE,
) -> None:
    """Train one encoder by cluster discrimination, and print the spec that loads it.

    Args:
        samples: Which samples.
        k: Number of clusters; not needed for the objective `species`.
        base: The encoder to start from.
        objective: What to train against: clusters, species labels, or shuffled cluster labels.
        embed: How pictures become vectors.
        cluster: How vectors become clusters.
        train: How clusters become an encoder.
        place: Where to work.
    """
    if objective != "species" and k < 2:
        raise UsageError("Name the number of clusters: --k 1000.")
    workshop = _workshop(samples, embed, place)
    base_model = workshop.model(base, "base")
    clusters = None
    if objective != "species":
        clusters = workshop.clusters(base_model, _with_k(cluster, k))
    model = workshop.trained(base_model, objective, clusters, train)
    sys.stdout.write(f"{model.spec}\n")


@app.command
def evaluate(
    samples: Samples,
    *,
    encoder: tuple[str, ...] = ("pixels", "descriptors"),
    on: Split = "test",
    embed: EmbedOptions = EmbedConfig(),  # noqa: B008 - frozen
    evaluate: EvaluateOptions = EvaluateConfig(),  # noqa: B008 - frozen
    place: Place = _DEFAULT_PLACE,
) -> None:
    """Score encoders by cosine-similarity retrieval, with intervals.

    Args:
        samples: Which samples.
        encoder: Encoders to score, published ones or your own (checkpoint:FOLDER).
        on: Split to score.
        embed: How pictures become vectors.
        evaluate: How encoders are scored.
        place: Where to work.
    """
    from syntype.sweep.tables import score_table
    from syntype.terminal import show_table

    workshop = _workshop(samples, embed, place)
    models = [workshop.model(spec, "baseline") for spec in encoder]
    scores = [workshop.scores(model, on, evaluate) for model in models]
    show_table(*score_table(models, scores, evaluate))


@app.command
def sweep(
    config: Annotated[SweepConfig, Parameter(name="*")],
    *,
    place: Place = _DEFAULT_PLACE,
    dry_run: bool = False,
) -> None:
    """Find the number of clusters that gives the best embedding, and write the report.

    Each stage is skipped when its result is there already, so an interrupted sweep goes on where
    it stopped.

    Args:
        config: What to sweep.
        place: Where to work.
        dry_run: Print what would run, what is there already and what it would cost; run nothing.
    """
    _sweep(config, place, dry_run)


@app.command
def recipe(
    name: str = "",
    *,
    data: tuple[str, ...] = (),
    place: Place = _DEFAULT_PLACE,
    dry_run: bool = False,
) -> None:
    """Run a ready sweep by name, or list them.

    Args:
        name: Name of the recipe; empty lists them all.
        data: Where the recipe's data lie, if not where it looks for them.
        place: Where to work.
        dry_run: Print what would run, what is there already and what it would cost; run nothing.
    """
    from syntype.recipes import RECIPES, find_recipe
    from syntype.terminal import show_table

    if not name:
        rows = [(each.name, each.summary) for each in RECIPES.values()]
        show_table("Recipes", ("name", "what it does"), rows)
        return
    found = find_recipe(name)
    _sweep(found.with_data(data).config, place, dry_run, found.expected)


@app.command
def report(folder: Path) -> None:
    """Write the report of a finished sweep again, for example with a newer version.

    Args:
        folder: The sweep's folder, runs/sweep/..., as the sweep printed it.
    """
    from syntype.sweep import rewrite_report

    if not folder.is_dir():
        raise DataNotFoundError(f"There is no folder {folder}. Name a sweep: runs/sweep/...")
    sys.stdout.write(f"{rewrite_report(folder)}\n")


@app.command
def demo(*, place: Place = _DEFAULT_PLACE) -> None:
    """Draw a tree of life, sweep over it, and write the report: minutes on a laptop, no network.

    Args:
        place: Where to work.
    """
    from syntype.recipes import find_recipe

    found = find_recipe("demo")
    _sweep(found.config, place, dry_run=False, expected=found.expected)


@app.command
def doctor(*, place: Place = _DEFAULT_PLACE) -> None:
    """Check the machine: libraries, processors, accelerator, room, decoding, offline hub.

    Args:
        place: Where to work.
    """
    from syntype.doctor import examine
    from syntype.terminal import show_table

    rows = examine(place.workspace)
    show_table("Doctor", ("what", "found", "verdict"), rows)


def _sweep(
    config: SweepConfig, place: Workplace, dry_run: bool, expected: Expected | None = None
) -> None:
    from syntype.sweep import plan_sweep, run_sweep
    from syntype.terminal import progress_of, show_table

    progress = progress_of(place.quiet)
    if dry_run or not place.quiet:
        for table in plan_sweep(config, place, progress, expected).tables():
            show_table(*table)
    if dry_run:
        return
    sys.stdout.write(f"{run_sweep(config, place, progress)}\n")


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


if __name__ == "__main__":
    main()
