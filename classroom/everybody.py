"""nbgrader's settings for everybody in the room; room.py puts them into the shared environment, as nbgrader_config.py.

Where the course's folder is the reader's own, it also is where nbgrader keeps its course: that is the teacher.
"""

import os
import pwd
import secrets
import stat
import sys
from pathlib import Path

from denoising.classroom.collect import Collect


class CollectOwned(Collect):
    """Collects nothing that somebody else handed in under a student's name; nbgrader itself would only warn."""

    def init_src(self):
        for path in Path(self.root, self.coursedir.course_id, "inbound").glob("*+*"):
            about = path.lstat()  # a link is nobody's submission
            try:
                name, owner = self._path_to_record(str(path))["username"], pwd.getpwuid(about.st_uid).pw_name
            except Exception:  # not the name of a submission, or an owner without one
                name, owner = None, ""
            if name != owner or not stat.S_ISDIR(about.st_mode):
                self.log.warning("put aside, for it is not from whom it says: %s", path)
                path.rename(path.with_name(f"refused-{secrets.token_hex(8)}"))
        super().init_src()


c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "denoising"
c.Exchange.root = os.environ.get("DENOISING_EXCHANGE", str(Path(sys.prefix).parent / "exchange"))
course = os.environ.get("DENOISING_COURSE", "")
if course and os.access(f"{course}/notebooks", os.R_OK):
    from denoising.classroom.settings import configure

    configure(c)
    c.CourseDirectory.root = f"{course}/classroom/course"
c.ExchangeFactory.collect = CollectOwned
