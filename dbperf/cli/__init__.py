"""The command line; one file a command.

Exit codes: 0 clean, 1 findings at or above --fail-on, 2 usage, configuration or connection failure.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from dbperf import __version__
from dbperf.errors import DbperfError

USAGE, INTERRUPTED = 2, 130


_COMMANDS = ("analyze", "demo", "doctor", "explain", "record", "report", "rule", "store")


class _Commands(click.Group):
    """Loads a command's module when it is asked for: `record` starts at once, whatever `analyze` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"dbperf.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dbperf")
def commands() -> None:
    """Which line of your code makes the database slow, what to change, and the proof."""


def main() -> NoReturn:
    """Entry point of `dbperf`: every error is one line on stderr, never a traceback."""
    logging.getLogger("psycopg").addHandler(logging.NullHandler())  # it warns of rollbacks on a lost server
    try:
        code = commands.main(prog_name="dbperf", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        code = USAGE
    except click.ClickException as error:
        code = _say(f"{error.format_message()} (dbperf --help)")
    except DbperfError as error:
        code = _say(str(error))
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left in the buffer
        # A pipe that broke is a reader (head, less) that has seen enough.
        code = 0 if isinstance(error, BrokenPipeError) else _say(error.strerror or str(error))
    sys.exit(code)


def _say(message: str) -> int:
    click.echo(f"dbperf: {' '.join(message.split())}", err=True)
    return USAGE
