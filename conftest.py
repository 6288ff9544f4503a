"""Makes the plain command right: `pytest --nbval -n 2 notebooks`. Everything about nbval here was tried with 0.11."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
CELL_SECONDS = 60  # limit of a cell without {"denoising": {"timeout": ...}} in its metadata
NBVAL_DEFAULT = 2000  # nbval's own limit; another value was asked for on the command line

os.environ["DENOISING_WIDGETS"] = "off"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # these reach the kernels, with xdist too
os.environ.setdefault("MKL_NUM_THREADS", "1")

collect_ignore = [] if find_spec("nbgrader") else ["lib/denoising/classroom"]  # what it imports is an extra

first_failure: dict[pytest.Collector, str] = {}  # notebook -> its first cell that failed


def pytest_configure(config):
    option = config.option
    if not (getattr(option, "nbval", False) or getattr(option, "nbval_lax", False)):
        return
    if option.nbval_sanitize_with is None:
        option.nbval_sanitize_with = str(ROOT / "tests" / "sanitize.cfg")  # absolute: pytest may start in a subfolder
    option.nbval_current_env = True
    config.asked_limit = 0 if option.nbval_cell_timeout == NBVAL_DEFAULT else option.nbval_cell_timeout
    if getattr(option, "numprocesses", None) and option.dist in ("load", "no"):
        option.dist = "loadscope"  # otherwise the cells of one notebook land in several kernels


def is_cell(item) -> bool:
    return type(item).__name__ == "IPyNbCell"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Before each cell: skip what follows a failure, refuse what nbval would not compare, set the cell's own limit."""
    if not is_cell(item):
        return
    if item.parent in first_failure:
        pytest.skip(f"{first_failure[item.parent]} of this notebook failed")
    if item.options["skip"] or not (item.options["check"] or item.config.option.nbval_lax):
        pytest.fail("nbval would skip this cell or ignore its output; every cell is compared here", pytrace=False)
    if item.cell.execution_count is None:
        pytest.fail("no stored output to compare with; run: python -m denoising.nb store", pytrace=False)
    limit = item.cell.metadata.get("denoising", {}).get("timeout", CELL_SECONDS)
    item.config.option.nbval_cell_timeout = float(max(limit, item.config.asked_limit))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    """After each cell: an expected failure is an error (nbval marks so what follows a timeout); remember failures."""
    report = yield
    if is_cell(item):
        if hasattr(report, "wasxfail"):
            report.outcome = "failed"
            report.longrepr = f"a notebook cell is never expected to fail, but: {report.wasxfail or 'marked xfail'}"
            del report.wasxfail
        if report.failed:
            first_failure.setdefault(item.parent, item.name)
    return report
