"""The command line's root, to which each verb's module adds itself."""

from cyclopts import App, Parameter

from syntype.version import __version__

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
