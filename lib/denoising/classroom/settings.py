"""nbgrader's settings for this course. `classroom/nbgrader_config.py` is made of them."""

from typing import Any

from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.preprocessors import Execute

from denoising.classroom.collect import Collect
from denoising.classroom.preprocessors import Discreet, Frame, LessonToAssignment
from denoising.classroom.referee import Referee

__all__ = ["CELL_SECONDS", "configure"]

CELL_SECONDS = 60  # as in the course's own tests


def configure(c: Any) -> None:
    """Put one preprocessor before each of nbgrader's three steps; run by the referee, collect with care.

    Args:
        c: the configuration, as `get_config()` gives it.
    """
    running = [Referee if step is Execute else step for step in _default(Autograde, "autograde_preprocessors")]
    c.GenerateAssignment.preprocessors = [LessonToAssignment, *_default(GenerateAssignment, "preprocessors")]
    c.Autograde.sanitize_preprocessors = [Frame, *_default(Autograde, "sanitize_preprocessors")]
    c.Autograde.autograde_preprocessors = running
    c.GenerateFeedback.preprocessors = [Discreet, *_default(GenerateFeedback, "preprocessors")]
    c.ExchangeFactory.collect = Collect
    c.Execute.timeout = CELL_SECONDS
    c.HTMLExporter.sanitize_html = True  # a submission's output is somebody else's web page
    c.CourseDirectory.course_id = "denoising"


def _default(converter: type, trait: str) -> list[type]:
    return converter.class_traits()[trait].default()
