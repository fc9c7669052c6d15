"""The command line: one file per command, imported when it is used; every mistake is one line and exit code 2."""

from __future__ import annotations

import importlib
import os
import sys

from engine.errors import UserError
from tools.common import INTERRUPTED, Parser, say

COMMANDS = {
    "play": "watch a scene",
    "run": "run a scene headless: progress, summary, record, video, snapshot",
    "experiment": "run scenes under several conditions and seeds, and judge their claims",
    "report": "finished experiments as one HTML page",
    "exam": "the neonatal examination: items, bands, controls, lesions",
    "shell": "a text session: look, sound, touch, reward, teach, test, lesion, save; scripts on standard input",
    "list": "what there is to run",
    "check": "validate a scene, its circuits and its body",
    "schedule": "the order of a tick, and what it costs",
    "tables": "tables, columns, memory",
    "health": "every population against its band, at rest and under its stimulus",
    "bench": "speed: beside other simulators, by size, by system",
    "info": "versions, machine, and what is missing",
}


def parser(only: str | None = None) -> Parser:
    """The parser of all commands; with `only`, the files of the others are not imported."""
    from encephagen import __version__

    top = Parser(prog="encephagen", description="A human newborn as a real-time simulation: brain, cord and body.")
    top.add_argument("--version", action="version", version=f"encephagen {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
        if only in (None, name):
            module(name).arguments(sub)
    return top


def module(name: str):
    return importlib.import_module(f"tools.{name}")


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code: 0 done, 1 a claim fell short, 2 bad input, 130 interrupted."""
    try:
        named = next((word for word in arguments if not word.startswith("-")), None)
        args = parser(named if named in COMMANDS else None).parse_args(arguments)
        if args.command is None:
            raise UserError(f"expected a command: {', '.join(COMMANDS)} (see encephagen --help)")
        code = module(args.command).run(args)
        sys.stdout.flush()
        return code
    except UserError as error:
        say(f"encephagen: error: {error}")
    except KeyboardInterrupt:
        say("encephagen: interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as error:  # --help and --version
        return int(error.code or 0)
    except Exception as error:
        if os.environ.get("ENCEPHAGEN_TRACEBACK"):
            raise
        text = " ".join(str(error).split())[:300]
        say(f"encephagen: error: {type(error).__name__}: {text} (a fault of the program; "
            "ENCEPHAGEN_TRACEBACK=1 shows where)")  # fmt: skip
    return 2
