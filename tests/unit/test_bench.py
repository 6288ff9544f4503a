"""The benchmark script runs; what it measures is not asserted anywhere."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_smoke_run_fills_every_table_and_leaves_the_record_alone(tmp_path):
    record, out = ROOT / "docs" / "bench.md", tmp_path / "bench.md"
    before = record.read_bytes() if record.exists() else None
    command = [sys.executable, ROOT / "tests" / "bench.py", "--quick", "--out", out]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    text = out.read_text("utf-8")
    tables = text.split("\n## ")[1:]
    titles = [
        "Samplers around",
        "Networks of",
        "Adaptive guidance",
        "Imports",
        "Solvers on",
        "Notebooks",
        "Tracked tree",
    ]
    assert [title for title in titles if not any(table.startswith(title) for table in tables)] == []
    for table in tables:
        head, rule, *rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|")]
        assert rows and all(len(row) == len(head) == len(rule) for row in rows), table
    assert "smoke run" in text and not re.search(r"\b(nan|inf)\b", text)
    assert [path.name for path in tmp_path.iterdir()] == ["bench.md"]
    assert (record.read_bytes() if record.exists() else None) == before
