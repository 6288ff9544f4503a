"""Breakages of the graded labs: assignments, the referee, the sandbox."""

from mutant import library

OF_CLASSROOM = [
    *library(
        "classroom/preprocessors",
        "tests/grading/test_steps.py",
        # what a release must not hold
        ('DROPPED = {"stub", "view"}', 'DROPPED = {"view"}', "test_a_lesson_loses_what_is_for_readers"),
        ('return source[start:] if start >= 0 else ""', "return source", "test_a_lesson_loses_what_is_for_readers"),
        (
            'cell.metadata.pop("jupyter", None)',
            'cell.metadata.get("jupyter", None)',
            "test_a_lesson_loses_what_is_for_readers",
        ),
        ('output.traceback = [f"{output.ename}: {output.evalue}"]', "pass", "test_feedback_keeps_hidden_tests_hidden"),
        # what a submission may not say
        (
            'cell.metadata.pop("nbgrader", None)',
            'cell.metadata.get("nbgrader", None)',
            "test_a_submission_is_put_back_into_its_frame",
        ),
        (
            "                last[name] = cell\n",
            "                last.setdefault(name, cell)\n",
            "test_a_submission_is_put_back_into_its_frame",
        ),
        (
            'if name not in last and metadata["grade"]:',
            'if name not in last and metadata["solution"]:',
            "test_a_submission_is_put_back_into_its_frame",
        ),
    ),
    *library(
        "classroom/referee",
        "tests/grading/test_referee.py",
        (
            'cell.outputs = errors or [output for output in cell.outputs if output.output_type != "execute_result"]',
            "pass",
            "test_a_forged_result_is_no_point",
        ),
        (
            "elif is_grade(cell) and self._tampered(cell, index):",
            "elif is_grade(cell) and not self._tampered(cell, index):",
            "test_a_right_answer_has_the_points_and_a_wrong_one_none",
        ),
        ("self.nb.cells[index] = cell", "pass", "test_a_check_that_accepts_nonsense_gives_nothing"),
        ("if self.printed > self.output_bytes and msg", "if False and msg", "test_output_beyond_the_limit_is_dropped"),
        (
            "monotonic() > self.end_of_time:",
            "monotonic() > 2 * self.end_of_time:",
            "test_the_time_of_the_whole_notebook_is_limited",
        ),
        (
            'if not self.idle and "CellTimeoutError"',
            'if self.idle and "CellTimeoutError"',
            "test_an_endless_loop_is_stopped_and_the_rest_counts",
        ),
        ("            if self.over:\n", "            if False:\n", "test_after_its_death_everything_failed"),
    ),
    *library(
        "classroom/sandbox",
        "tests/grading/test_sandbox.py",
        ("os.umask(0o077)", "os.umask(0o022)", "test_writes_at_home_only"),
        ("resource.RLIMIT_DATA: 4 * GIB", "resource.RLIMIT_DATA: 40 * GIB", "test_limits"),
        ("os.setgid(uid)", "os.setgid(0)", "test_another_user_for_good"),
        (
            '"/usr/share/fonts", "/proc"',
            '"/usr/share/fonts", "/etc", "/proc"',
            "test_reads_python_and_the_library_and_nothing_else",
        ),
    ),
    *library(
        "classroom/landlock",
        "tests/grading/test_sandbox.py",
        ("(BIND | CONNECT) if version >= 4", "BIND if version >= 4", "test_reaches_nobody"),
        ("3 if version >= 6 else 0]", "1 if version >= 6 else 0]", "test_reaches_nobody"),
        ("(write, every)", "(read, every)", "test_writes_at_home_only"),
    ),
    *library(
        "classroom/collect",
        "tests/grading/test_parts.py",
        (
            "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
            "os.O_RDONLY | os.O_NONBLOCK",
            "test_what_is_collected_is_a_file_of_the_student",
        ),
    ),
]
