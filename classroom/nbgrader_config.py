"""nbgrader's settings for the graded labs: `cd classroom`, then any `nbgrader` command. The course lies in `course/`.

Beside nbgrader's own steps there are: before an assignment is generated, the lesson loses its stubs and remarks; before
a submission is run, it is put back into the frame of its release; and it runs in a sandbox, under a referee.
"""

from pathlib import Path

from denoising.classroom.settings import configure

c = get_config()  # noqa: F821
configure(c)
c.CourseDirectory.root = str(Path(__file__).resolve().parent / "course")
