"""Progress on stderr, and only on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape


@contextmanager
def steps() -> Iterator[Callable[[float, str], None]]:
    """A spinner with the share done and what is being done; silent where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _share, _what: None
        return
    with console.status("starting") as status:
        yield lambda share, what: status.update(escape(f"{share:4.0%} {what}"))
