"""Methods of one object replaced by ours, and put back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def replaced(target: object, ours: Mapping[str, Callable[..., Any]]) -> Callable[[], None]:
    """Put functions in the place of methods of an object; the function returned takes them off again.

    What somebody else put there after us stays.
    """
    attributes = vars(target)
    before = {name: attributes[name] for name in ours if name in attributes}
    attributes.update(ours)

    def restore() -> None:
        for name, function in ours.items():
            if attributes.get(name) is not function:
                continue
            if name in before:
                attributes[name] = before[name]
            else:
                del attributes[name]

    return restore


def leave_no_frame(error: BaseException) -> None:
    """Take the caller's frame off a traceback, which starts with it; the bare `raise` that follows adds none.

    So an application sees the traceback that it would see without us.
    """
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
