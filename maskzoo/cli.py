"""The command `maskzoo`: puts the commands together and turns errors into exit codes.

Each command imports what it needs when it runs, so that `maskzoo --help` answers at once. Exit
codes: 0 done, 2 the input was wrong, 1 anything else. With `--json` a command prints one JSON
document on standard output and nothing else there.
"""

from __future__ import annotations

import sys

import typer

import maskzoo.commands.models
import maskzoo.commands.service
import maskzoo.commands.training

app = typer.Typer(
    name="maskzoo",
    help="Train, compare and serve semantic-segmentation networks. "
    "With --debug a command that fails shows where.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich costs more than all the rest
)
for _group in (maskzoo.commands.training, maskzoo.commands.models, maskzoo.commands.service):
    app.add_typer(_group.app)


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
