"""Whether a grader runs this kernel, and what is different then."""

import os
import sys

#: nbgrader sets the variable, to "autograde" or "validate", for the kernels that it starts. Read once, so that an
#: answer which empties its environment changes nothing:
#: https://nbgrader.readthedocs.io/en/stable/user_guide/autograding_resources.html
GRADED = bool(os.environ.get("NBGRADER_EXECUTION"))


def publish_stderr_as_stdout() -> None:
    """Make the kernel publish what is written to stderr as stdout. Outside a Jupyter kernel, nothing happens.

    nbgrader takes all points from a check cell that shows text on stderr: a warning, a log line, a server's chatter.
    """
    if type(sys.stderr).__module__ == "ipykernel.iostream":
        sys.stderr.name = "stdout"  # type: ignore[misc] # the name that each of the stream's messages carries


if GRADED:
    publish_stderr_as_stdout()
