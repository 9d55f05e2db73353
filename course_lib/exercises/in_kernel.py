"""What the course adds to a notebook's kernel: a stop button that works at once, and words for a cell run too early."""

import asyncio
import atexit
import contextlib
import gc
import signal
import sys
from types import TracebackType
from typing import Any

_ADVICE = (
    "This kernel does not know `{name}`. Run the cells above this one first: menu Run, Run All Above Selected Cell. "
    "If you did, look for a typing error."
)


def prepare_kernel() -> None:
    """Prepare the kernel that this runs in; elsewhere this does nothing. A second call does no harm."""
    if "IPython" not in sys.modules:
        return
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NameError,), _show)  # type: ignore[no-untyped-call]
        _wake_for_signals()
        if _Stop.events is not shell.events:
            _Stop.events = shell.events
            stop = _Stop(shell)
            shell.events.register("pre_run_cell", stop.remember)
            shell.events.register("post_run_cell", stop.end)
            # At its end Python looks for cycles in all that a lesson has imported, for 0.4 s, and Restart waits.
            atexit.register(gc.freeze)


class _Stop:
    """Ends what a stopped cell had started: a demo's own tasks would wait on in the kernel."""

    events: Any = None

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._before: set[asyncio.Task[Any]] | None = None  # None: in the cell that imports the course

    def remember(self, *_: object) -> None:
        self._before = _tasks()

    def end(self, result: Any) -> None:
        # A cell that waits is cancelled; in one that blocks the interruption is raised.
        error = getattr(result, "error_in_exec", None)
        stopped = result is None or isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
        if not stopped or self._before is None:
            return
        for task in _tasks() - self._before:
            frame = getattr(task.get_coro(), "cr_frame", None)
            if frame is not None and frame.f_globals is self._shell.user_ns:  # what the notebook defines, not Jupyter's
                task.cancel()


def _tasks() -> set[asyncio.Task[Any]]:
    try:
        return asyncio.all_tasks()
    except RuntimeError:  # no event loop runs
        return set()


def _wake_for_signals() -> None:
    # The stop button is a signal. ipykernel 7.4 cancels the cell by a callback that it schedules in the handler, which
    # does not wake the event loop: `await asyncio.sleep(20)` went on for 20 s (measured). With any handler of its own,
    # asyncio has the system wake it for every signal. Only the main thread's loop can have one, and none on Windows.
    with contextlib.suppress(RuntimeError, ValueError, NotImplementedError, AttributeError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, lambda: None)


def _show(
    shell: Any, kind: type[NameError], error: NameError, trace: TracebackType | None, tb_offset: int | None = None
) -> None:
    last = trace
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is not None and last.tb_frame.f_globals is shell.user_ns and not hasattr(error, "__notes__"):
        error.add_note(_ADVICE.format(name=error.name))
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
