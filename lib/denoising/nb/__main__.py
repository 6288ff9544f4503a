"""`python -m denoising.nb store [notebook ...]`, `... lab` and `... scoreboard`."""

import argparse
import sys
from pathlib import Path

from denoising.nb.lab import lab
from denoising.nb.scoreboard import write
from denoising.nb.store import store

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; 0 if all went well."""
    parser = argparse.ArgumentParser(prog="python -m denoising.nb", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    storing = commands.add_parser("store", help="run notebooks from a fresh kernel and store their outputs")
    storing.add_argument("notebooks", nargs="*", type=Path, help="files; all of the course if none is given")
    storing.add_argument("--jobs", type=int, default=2, choices=range(1, 17), metavar="N", help="at a time (default 2)")
    opening = commands.add_parser("lab", help="open JupyterLab on your own copy of the lessons")
    opening.add_argument("--author", action="store_true", help="open the originals instead of a copy")
    opening.add_argument("--port", type=int, help="the port to use (default: 8888 or the next free one)")
    opening.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    commands.add_parser("scoreboard", help="write every claim of the stored outputs onto one page")
    options = parser.parse_args(arguments)
    try:
        if options.command == "store":
            return 1 if store(options.notebooks, jobs=options.jobs) else 0
        if options.command == "scoreboard":
            print(write())
            return 0
        return lab(author=options.author, port=options.port, browser=not options.no_browser)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was not reported as stored is as it was", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
