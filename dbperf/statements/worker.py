"""The process in which `confined` has a call made; a program of its own, started by its file's name.

It reads questions from stdin, each a number and a pickled `(seconds, function, arguments)`, and writes the
number and what the call returns to stdout. A call that needs more CPU than its seconds ends the process: the
kernel sends SIGPROF, which nothing here handles, so that also compiled code is stopped, which never looks for
a signal. It ends with its stdin. Its arguments are the `sys.path` to work with.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys

NUMBER_BYTES = 8


def main() -> None:
    """Answers until there are no more questions."""
    sys.path[:] = sys.argv[1:]
    _heed_the_timer()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    gc.disable()  # the time of a collection is not the statement's
    while True:
        number = sys.stdin.buffer.read(NUMBER_BYTES)
        try:
            seconds, function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        _limit_cpu(seconds)
        answer = function(*arguments)
        _limit_cpu(0)
        answers.write(number)
        pickle.dump(answer, answers)
        answers.flush()
        gc.collect()
        gc.freeze()


def _heed_the_timer() -> None:
    """A signal that the program ignores or its thread blocks stays so in the processes that are started."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])


def _limit_cpu(seconds: float) -> None:
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
