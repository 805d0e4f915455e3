"""Whether a relationship that is loaded along is ever read.

Reading a loaded attribute is a look into the instance's dictionary: SQLAlchemy fires no event for it. Of a
class it is the descriptor (`User.posts`, an InstrumentedAttribute) whose `__get__` does that. While it is
watched, that one object is of a subclass whose `__get__` also counts, about 0.1 µs a read. The attribute
stays the object it was, and what it says of its class is what it said before (`isinstance`, `__class__`,
`repr`, cache keys, aliases made from it); `type(User.posts)` alone can tell. Attributes that nothing loads
along are not touched.

Not seen are reads around the attribute: of `vars(user)`, and of an instance that was pickled.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from functools import wraps
from typing import Any

from sqlalchemy.orm import Mapper, class_mapper
from sqlalchemy.orm.attributes import InstrumentedAttribute
from sqlalchemy.orm.exc import UnmappedClassError

Named = tuple[weakref.ref[type], str]
"""A class that declares a relationship, and the relationship's name."""

_CLASS: Any = vars(object)["__class__"]  # sets the class of an object even if that hides it
_lock = threading.RLock()  # reentrant: a finalizer takes it too


class _Count:
    """Reads of a relationship, in all classes that have it, and how many watch it."""

    __slots__ = ("reads", "watchers")

    def __init__(self) -> None:
        self.reads = self.watchers = 0


class Reads:
    """The relationships that one capture watches. An attribute may be watched by several."""

    def __init__(self) -> None:
        self._watched: dict[Named, _Count] = {}
        self._before: dict[Named, int] = {}
        self.close = weakref.finalize(self, _unwatch, self._watched)
        """Watch no more: what nobody else watches is as it was. What was counted can still be read."""

    def watch(self, owner: weakref.ref[type], key: str) -> bool:
        """Count reads of a relationship from now on; whether it can be watched. Watching it twice is fine."""
        if (owner, key) in self._watched:
            return True
        with _lock:
            attributes = list(_attributes(owner, key))
            if not attributes:
                return False
            count = next((each for each in map(_count_of, attributes) if each), None) or _Count()
            count.watchers += 1
            for attribute in attributes:
                if _count_of(attribute) is None:
                    _CLASS.__set__(attribute, _counting(type(attribute), count))
            self._before[owner, key] = count.reads
            self._watched[owner, key] = count
        return True

    def reads(self, owner: weakref.ref[type], key: str) -> int:
        """How often a relationship was read since it is watched, of any instance."""
        return self._watched[owner, key].reads - self._before[owner, key]

    def forget(self) -> None:
        """Count from here on."""
        self._before = {named: count.reads for named, count in self._watched.items()}


def _unwatch(watched: dict[Named, _Count]) -> None:
    with _lock:
        for (owner, key), count in watched.items():
            count.watchers -= 1
            for attribute in _attributes(owner, key) if not count.watchers else ():
                if _count_of(attribute) is count:
                    _CLASS.__set__(attribute, type(attribute).__base__)


def _attributes(owner: weakref.ref[type], key: str) -> Iterator[Any]:
    """The descriptors of a relationship: a subclass has its own."""
    for mapper in _family(owner()):
        attribute = vars(mapper.class_).get(key)
        if isinstance(attribute, InstrumentedAttribute):
            yield attribute


def _family(model: type | None) -> list[Mapper[Any]]:
    """The mappers of a class and its subclasses; none for a class that is gone, or mapped no more."""
    try:
        return list(class_mapper(model, configure=False).self_and_descendants) if model else []
    except UnmappedClassError:
        return []


def _count_of(attribute: Any) -> _Count | None:
    return getattr(type(attribute), "_dbperf_count", None)


def _counting(original: type, count: _Count) -> type:
    get: Any = original.__get__  # type: ignore[attr-defined]

    @wraps(get)
    def counted(self: Any, instance: Any, owner: Any) -> Any:
        if instance is not None:
            count.reads += 1
        return get(self, instance, owner)

    attributes = {
        "__slots__": (),
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": vars(original).get("__doc__"),
        "__class__": property(lambda _: original),
        "__get__": counted,
        "_dbperf_count": count,
        "inherit_cache": True,
    }
    return type(original.__name__, (original,), attributes)
