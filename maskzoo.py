"""The command `maskzoo`: one thin front over models, training and service.

The commands stand in the three packages. Each imports what it needs when it runs, so that
`maskzoo --help` answers at once. Exit codes: 0 done, 2 the input was wrong, 1 anything else. With
`--json` a command prints one JSON document on standard output and nothing else there.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

import models.commands
import service.commands
import training.commands

app = typer.Typer(
    name="maskzoo",
    help="Train, compare and serve semantic-segmentation networks. "
    "With --debug a command that fails shows where.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich costs more than all the rest
)
for _room in (training, models, service):
    app.add_typer(_room.commands.app)


def __getattr__(name: str) -> Any:
    """Return the client of the service, which is imported when it is first asked for."""
    if name not in ("AsyncClient", "Client"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import service.client.clients

    return getattr(service.client.clients, name)


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
        known = sys.modules.get("models.errors")
        if known is not None and isinstance(error, known.ZooError):
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        print(f"error: {type(error).__name__}: {error} (--debug shows where)", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
