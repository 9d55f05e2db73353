"""`course grade`: a folder of submissions becomes points, feedback and a report of the class.

A learner's answers run next to the course's own checks. What keeps that honest, from the outside in:

- Each exercise runs in a process of its own, a fork of a warm one, confined as `course_lib.sandbox` describes: own
  account, own process numbers, a network with nothing but loopback in it where the system grants one, an environment
  without anything of the grader's, limits of time, memory, output, files. It reads Python and the course's library, not
  the solutions, not a submission, and writes to a folder that is gone afterwards.
- Before anything runs, the source is looked at for what no honest answer needs (`_refusals`): the checks' own modules,
  frames, code objects, the garbage collector, text run as code. While it runs, guarded builtins and an audit hook
  refuse the same (`_integrity`). After a right answer, the functions that the check stands on must be what they were.
- A verdict counts only with a random token that is in the memory of that process and nowhere in its namespace.
- Servers belong to a trusted process, itself unable to read solutions or submissions. One that serves several
  submissions is looked at after each exercise, and replaced unless it is as it was.

What it does not stop: an answer and its check share one process, so this is no proof. Somebody who finds a way to
Python's inside that `_refusals` does not know, changes the check while it runs and mends it before the end, can forge
one verdict of his own; not another's. Values that claim to equal everything are the checks' matter. An answer can know
that it is graded. Cells count by the names that they define: a cell that matters only by what it does, such as setting
an environment variable, is not run for the exercises below it. Linux only.
"""

from course_lib.grade._grader import GraderError
from course_lib.grade._marking import Mark, Result
from course_lib.grade._reference import course_version
from course_lib.grade._report import write_all
from course_lib.grade._running import Run, SchedulerError, grade_folder
from course_lib.grade._submissions import submissions

__all__ = [
    "GraderError",
    "Mark",
    "Result",
    "Run",
    "SchedulerError",
    "course_version",
    "grade_folder",
    "submissions",
    "write_all",
]
