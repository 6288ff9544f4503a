"""`python -m denoising.classroom assignments [LESSON ...]` and `... grade ASSIGNMENT`."""

import argparse
import os
import sys
from pathlib import Path

from denoising.classroom import lacking
from denoising.nb.places import ROOT

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; 0 if all went well."""
    parser = argparse.ArgumentParser(prog="python -m denoising.classroom", description=__doc__)
    parser.add_argument("--course", type=Path, default=ROOT / "classroom" / "course", help="the folder of the course")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("assignments", help="make the students' version of lessons")
    making.add_argument("lessons", nargs="*", help="numbers or names; all with exercises if none is given")
    making.add_argument(
        "--notebooks", type=Path, help="the folder whose folders hold the lessons (default: the course's)"
    )
    grading = commands.add_parser("grade", help="grade every submission of an assignment and write the feedback")
    grading.add_argument("assignment", help="the full name, as 1.1-forward-process")
    grading.add_argument("--jobs", type=int, default=2, choices=range(1, 65), metavar="N", help="at a time (default 2)")
    options = parser.parse_args(arguments)
    if line := lacking():
        print(line, file=sys.stderr)
        return 1
    # nbgrader calls a program of its environment by name
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    from denoising.classroom import course

    try:
        if options.command == "assignments":
            made = course.generate(options.course.resolve(), options.lessons, notebooks=options.notebooks)
            print("\n".join(f"{points:5g} points  {name}" for name, points in made.items()))
            print(f"{sum(made.values()):5g} points in {len(made)} assignments: {options.course / 'release'}")
            return 0
        if line := course.unguarded():
            print(f"warning: {line}", file=sys.stderr)
        for one in course.grade(options.course.resolve(), options.assignment, jobs=options.jobs):
            print(
                f"{one.points:5g} of {one.of:g}  {one.seconds:4.0f} s  {one.megabytes:5.0f} MB  {one.student}",
                flush=True,
            )
            print("".join(f"            {note}\n" for note in one.notes), end="")
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
