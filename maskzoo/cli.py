"""The command `maskzoo`: the table of its commands, and exit codes for errors.

Each command imports what it needs when it runs, so that `maskzoo --help` answers at once. Exit
codes: 0 done, 2 the input was wrong, 1 anything else. With `--json` a command prints one JSON
document on standard output and nothing else there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from maskzoo.commands.augment_preview import augment_preview
from maskzoo.commands.bench import bench
from maskzoo.commands.compare import compare
from maskzoo.commands.doctor import doctor
from maskzoo.commands.encoders import app as encoders_group
from maskzoo.commands.evaluate import evaluate
from maskzoo.commands.export import export
from maskzoo.commands.imports import app as imports_group
from maskzoo.commands.inspect import inspect
from maskzoo.commands.key import key
from maskzoo.commands.models import app as models_group
from maskzoo.commands.plugins import app as plugins_group
from maskzoo.commands.predict import predict
from maskzoo.commands.race import race
from maskzoo.commands.report import report
from maskzoo.commands.serve import serve
from maskzoo.commands.train import train
from maskzoo.commands.zoo import app as zoo_group

COMMANDS: dict[str, Callable[..., None]] = {
    "inspect": inspect,
    "train": train,
    "augment-preview": augment_preview,
    "race": race,
    "report": report,
    "evaluate": evaluate,
    "compare": compare,
    "predict": predict,
    "export": export,
    "serve": serve,
    "bench": bench,
    "key": key,
    "doctor": doctor,
}
"""In the order of the help text."""

app = typer.Typer(
    name="maskzoo",
    help="Train, compare and serve semantic-segmentation networks. "
    "With --debug, a failing command prints its traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich costs more than all the rest
)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(models_group, name="models")
app.add_typer(plugins_group, name="plugins")
app.add_typer(encoders_group, name="encoders")
app.add_typer(imports_group, name="import")
app.add_typer(zoo_group, name="zoo")


def main(arguments: list[str] | None = None) -> None:
    """Run the command; ends the process with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    if debug:
        given.remove("--debug")
    try:
        app(given, prog_name="maskzoo")
    except Exception as error:
        if debug:
            raise
        # Raised only where its module is loaded; importing it here would load torch for nothing.
        known = sys.modules.get("maskzoo.models.errors")
        if known is not None and isinstance(error, known.ZooError):
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        print(f"error: {type(error).__name__}: {error} (--debug shows where)", file=sys.stderr)
        sys.exit(1)
