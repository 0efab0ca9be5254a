"""The command `sender`: exit code 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""

import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from typing import Annotated, Any, Final

import typer
from typer.exceptions import TyperException

from sender.cli.common import set_operator
from sender.cli.groups import LazyGroup
from sender.cli.output import print_json
from sender.errors import FileError, SenderError

FAILED: Final = 1
INTERRUPTED: Final = 130
"""128 + SIGINT, as shells count."""

_OBJECTS_BEFORE_A_LOOK: Final = (10_000, 20, 20)

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Send e-mail and text campaigns to people who have agreed, and to nobody else.",
    epilog="Set SENDER_DATABASE_URL and SENDER_HASH_KEY; begin with: sender db upgrade",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"sender {installed_version('consent-sender')}\n")
        raise typer.Exit


@app.callback()
def _options(
    operator: Annotated[
        str, typer.Option(help="Who acts, for the audit trail; else SENDER_OPERATOR.")
    ] = "",
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    set_operator(operator)


def main() -> None:
    """Run the command line and end the process; the entry point of `sender`.

    SIGTERM, as a service manager sends it, stops as cleanly as Ctrl-C does.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seek_cycles_seldom()
    sys.exit(run(sys.argv[1:]))


def seek_cycles_seldom() -> None:
    """Let Python look for garbage in cycles more seldom than it does by itself.

    Sending makes many objects and next to no cycles; walking through all that the libraries hold
    costs 5 % of a message's processor time.
    """
    gc.set_threshold(*_OBJECTS_BEFORE_A_LOOK)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every error becomes one line on stderr.

    With `--json` the error is a JSON document on stdout instead. An exception that nobody foresaw
    is named by its type alone, because its text may hold personal data; `SENDER_DEBUG=1` shows it.
    """
    as_json = "--json" in arguments
    try:
        code = int(app(list(arguments), prog_name="sender", standalone_mode=False) or 0)
    except SenderError as error:
        _report(_described(error), str(error), as_json=as_json)
        return error.exit_code
    except TyperException as error:
        text = error.format_message()
        _report({"type": "usage", "problem": text}, _usage(error, text), as_json=as_json)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001  # the last line of defence; see the docstring
        return _unforeseen(error, as_json=as_json)
    if code == INTERRUPTED:
        _report({"type": "interrupted"}, "Interrupted.", as_json=as_json)
    return code


def _unforeseen(error: Exception, *, as_json: bool) -> int:
    if os.environ.get("SENDER_DEBUG") == "1":
        traceback.print_exc()
    name = type(error).__name__
    problem = f"Failed unexpectedly ({name})."
    remedy = "Set SENDER_DEBUG=1 to see where; what it shows may hold personal data."
    document = {"type": name, "problem": problem, "remedy": remedy}
    _report(document, f"{problem} {remedy}", as_json=as_json)
    return FAILED


def _report(document: dict[str, Any], line: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"error": document})
    elif line:
        sys.stderr.write(line + "\n")


def _described(error: SenderError) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": type(error).__name__,
        "problem": error.problem,
        "remedy": error.remedy,
    }
    if isinstance(error, FileError):
        document |= {"file": str(error.path), "line": error.line, "key": error.key}
    several = getattr(error, "errors", ())
    if several:
        document["errors"] = [_described(one) for one in several]
    return document


def _usage(error: TyperException, text: str) -> str:
    context = getattr(error, "ctx", None)
    hint = f" See: {context.command_path} --help" if text and context is not None else ""
    return f"{text}{hint}"
