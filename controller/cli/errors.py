"""Turns whatever ended a command into a message on stderr and an exit code. The only place that does.

Decides no code itself: families and codes come from `web.ports.ERROR_TABLE`.
"""

import errno
import json
import os
import secrets
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from controller.cli.base import SIGPIPE_STATUS, App
from controller.cli.text import clean, clean_block
from inventory.errors import FleetError, SiteFileError
from web.ports import ERROR_TABLE, EXIT_BUG, EXIT_CANCELLED, EXIT_INPUT

_FREE = "free some disk space, then run the command again: what is done stays done"
# What the system may say of any file of ours → what to do. All other errors of the system are taken for bugs.
_SURROUNDINGS = {
    errno.ENOSPC: ("the disk is full", _FREE),
    errno.EDQUOT: ("the disk quota is used up", _FREE),
    errno.EROFS: (
        "the file system is read-only",
        "mount it for writing, or choose another home: cto --home DIR …",
    ),
    errno.EACCES: ("no permission", "check who owns it, or choose another home: cto --home DIR …"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n 4096), then run the command again"),
}


def exit_code(error: BaseException) -> int:
    """The exit code of an error by its family."""
    return next((code for family, code, _ in ERROR_TABLE if isinstance(error, family)), EXIT_BUG)


def report(error: BaseException, app: App) -> int:
    """Says what happened and returns the exit code."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        if sys.stderr.isatty():
            click.echo(err=True)  # the terminal has just shown ^C on this line
        # Whatever had to leave something half done says so in the interrupt itself.
        fix = str(error) or "nothing is lost; run it again to go on"
        _say(app, {"slug": "cancelled", "what": "stopped", "fix": fix})
        return EXIT_CANCELLED
    if isinstance(error, BrokenPipeError):
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # so that the last flush can't fail again
        return SIGPIPE_STATUS
    if isinstance(error, click.ClickException):
        return _usage(error, app)
    if isinstance(error, FleetError):
        _say(app, _fields(error))
        return exit_code(error)
    if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
        return _surroundings(error, app)
    return _crash(error, app)


def _fields(error: FleetError) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "slug": error.slug,
        "what": error.what,
        "where": error.where,
        "fix": error.fix,
        "retryable": error.retryable,
    }
    if isinstance(error, SiteFileError):
        fields["problems"] = [
            {name: getattr(problem, name) for name in ("file", "line", "path", "what", "fix")}
            for problem in error.problems
        ]
    return fields


def _usage(error: click.ClickException, app: App) -> int:
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "cto"
    fix = f"see {command} --help"
    _say(app, {"slug": "usage", "what": error.format_message(), "fix": fix})
    return EXIT_INPUT


def _surroundings(error: OSError, app: App) -> int:
    """What the computer does not let us do is for its owner to mend, wherever in the program it came up."""
    what, fix = _SURROUNDINGS[error.errno or 0]
    _say(
        app,
        {"slug": "surroundings", "what": what, "where": str(error.filename or home_path(app)), "fix": fix},
    )
    return EXIT_INPUT


def _crash(error: BaseException, app: App) -> int:
    error_id = secrets.token_hex(4)
    text = "".join(traceback.format_exception(error))
    kept = _keep_traceback(text, error_id, app)
    fix = f"report it with the id {error_id} and the file {kept}; `cto support bundle` collects what helps"
    if not kept:
        fix = f"report it with the id {error_id}; the log can't be written, so here it is:\n{text}"
    _say(app, {"slug": "bug", "what": f"a bug in cto ({type(error).__name__})", "id": error_id, "fix": fix})
    return EXIT_BUG


def _keep_traceback(text: str, error_id: str, app: App) -> str:
    """Writes the traceback for its owner only. Returns the path, or "" if there is no place for it."""
    try:
        folder = home_path(app) / "logs"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"error-{error_id}.log"
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
    except OSError:
        return ""
    return str(path)


def home_path(app: App) -> Path:
    """Where the controller's files are, without creating anything."""
    from controller.store.home import Home

    return Home.locate(app.home, environ=app.environ).root


def _say(app: App, fields: dict[str, Any]) -> None:
    if app.json:
        click.echo(json.dumps({"error": fields}), err=True)
        return
    if fields.get("problems"):
        for problem in fields["problems"]:
            at = f" {problem['path']}:" if problem["path"] else ""
            click.echo(clean_block(f"{problem['file']}:{problem['line']}:{at} {problem['what']}"), err=True)
            click.echo(clean_block(f"  → {problem['fix']}"), err=True)
        return
    where = f"{clean(fields['where'])}: " if fields.get("where") else ""
    click.echo(f"{click.style('error:', fg='red')} {where}{clean_block(fields['what'])}", err=True)
    if fields.get("fix"):
        click.echo(f"  → {clean_block(fields['fix'])}", err=True)
