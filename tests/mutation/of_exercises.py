"""Breakages of the record of exercises, its view and the answer keys."""

# ruff: noqa: E501 (a breakage is one line, however long)

from mutant import library

RECORD = library(
    "nb/record",
    "tests/unit/test_nb_exercises.py",
    # the tests of the course fill the learner's record
    ("if not live() or exercise in", "if exercise in", "test_nothing_is_recorded_or_shown_while_notebooks_are_tested_or_stored"),
    ("    if not live():\n        return {}", "    if live() is None:\n        return {}", "test_nothing_is_recorded_or_shown_while_notebooks_are_tested_or_stored"),
    # every right answer once more
    ("or exercise in known.get(notebook, {}):", "or exercise in known:", "test_a_right_answer_of_the_learner_is_recorded_once"),
    # the last notebook to write wins
    ('file.open("ab+", buffering=0)', 'file.open("wb+", buffering=0)', "test_notebooks_that_write_at_the_same_time_lose_nothing"),
    # a torn line swallows the next answer
    ('in (b"", b"\\n") else b"\\n"', 'in (b"", b"\\n") else b""', "test_damage_costs_its_line_only_and_is_said"),
    ("record.seek(max(size - 1, 0))", "record.seek(size)", "test_damage_costs_its_line_only_and_is_said"),
    # damage is not said
    ("damaged += 1", "damaged += 0", "test_damage_costs_its_line_only_and_is_said"),
    ('"day": str(day)} if _sound(notebook, exercise):', '"day": str(day)}:', "test_damage_costs_its_line_only_and_is_said"),
    ('read_text("utf-8", errors="replace")', 'read_text("utf-8")', "test_a_record_that_is_no_text_breaks_nothing"),
    # a check breaks because its answer cannot be recorded
    ("    except (OSError, RuntimeError) as error:\n        print(", "    except ValueError as error:\n        print(", "test_a_record_that_cannot_be_written_breaks_no_check"),
    ("    except (OSError, RuntimeError) as error:  # RuntimeError", "    except OSError as error:  # RuntimeError", "test_a_user_without_a_home_breaks_no_check"),
    # not in the learner's own folder
    ("if os.access(mine, os.W_OK):", "if not os.access(mine, os.W_OK):", "test_the_record_lies_in_the_learners_folder_or_else_in_the_users"),
    ("setdefault(exercise, day)", "update({exercise: notebook})", "test_a_right_answer_of_the_learner_is_recorded_once"),
)  # fmt: skip

CHECKS = library(
    "checks/__init__",
    "tests/unit/test_nb_exercises.py",
    # the reference solution counts as the learner's answer
    ('if notebook and check.f_locals.get("strict") is False:', "if notebook:", "test_solution_missing_and_wrong_answers_are_not_recorded"),
    ('.get("strict") is False', '.get("strict") is True', "test_a_right_answer_of_the_learner_is_recorded_once"),
    ('.removeprefix("check_")', "", "test_a_right_answer_of_the_learner_is_recorded_once"),
)  # fmt: skip

VIEW = library(
    "nb/exercises",
    "tests/unit/test_nb_exercises.py",
    # another call in the stub, or in the solution
    ('"".join(cell["source"]))[-1:]', '"".join(cell["source"]))[:1]', "test_nothing_is_recorded_or_shown_while_notebooks_are_tested_or_stored"),
    ('if "stub" in cell', 'if "check" in cell', "test_nothing_is_recorded_or_shown_while_notebooks_are_tested_or_stored"),
    # 10.2 before 7.1
    ('return [int(part) for part in notebook.split(".")]', 'return notebook.split(".")', "test_the_view_over_all_notebooks"),
    ("total = sum(count for _, count in rows.values())", "total = len(rows)", "test_the_view_over_all_notebooks"),
    # what is not in the notebook any more counts
    ("count = sum(name in days for name in names or days)", "count = len(days)", "test_the_view_over_all_notebooks"),
    ("except (OSError, ValueError, KeyError):", "except (OSError, KeyError):", "test_without_the_courses_notebooks_the_view_shows_what_is_known"),
    ("{f' of {len(names)}' if names else ''}", "{f' of {len(days)}'}", "test_without_the_courses_notebooks_the_view_shows_what_is_known"),
)  # fmt: skip

ANSWERS = library(
    "nb/answers",
    "tests/unit/test_nb_answers.py",
    ("cells[place : place + 5]", "cells[place - 1 : place + 4]", "test_a_key_holds_what_a_teacher_needs"),
    ("cells[place + 3]", "cells[place + 2]", "test_a_key_holds_what_a_teacher_needs"),
    ('MARKS.sub("", texts[2])', 'MARKS.sub("", texts[1])', "test_a_key_holds_what_a_teacher_needs"),
    ('flags=re.M)[0]  # the next', 'flags=re.M)[-1]  # the next', "test_a_key_holds_what_a_teacher_needs"),
    ("posixpath.dirname(notebook)", "notebook", "test_a_key_holds_what_a_teacher_needs"),
    ("if title is None or len(texts) < 5:", "if title is None:", "test_an_exercise_that_is_not_complete_is_no_key"),
)  # fmt: skip

OF_EXERCISES = [*RECORD, *CHECKS, *VIEW, *ANSWERS]
