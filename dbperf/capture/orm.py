"""What SQLAlchemy's ORM knows of a statement: which attribute it loads, of whose instances, and how else.

Asked once for a statement, or for a line that repeats one, and never on every execution. What is read here
is internal to SQLAlchemy in part (`_lazy_loaded_from`, `_current_path`, the attributes of a compile state),
so a caller has to be ready for an exception; the tests read each on the oldest and the newest version.
Results are text and weak references: nothing of the application lives on in them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy.orm import Mapper

from dbperf.capture.slot import Eager, Load

# An entity (a mapper, or an alias of one) and the relationship that is followed from it.
Step = tuple[Any, Any]

_LOADERS = {
    "immediate": "immediateload",
    "joined": "joinedload",
    "selectin": "selectinload",
    "subquery": "subqueryload",
}
_IN_LIST = "primary_keys"
"""How SQLAlchemy's loaders name the parameter that takes the keys of many parents."""


def relationship_load(context: Any) -> Load | None:
    """What a statement loads of instances that are there already; None for one that stands for itself.

    `context` is SQLAlchemy's execution context. Of a batch, the loader is the one that the code has.
    """
    options = context.execution_options.get("_sa_orm_load_options")
    steps = _steps(context)
    origin = getattr(options, "_lazy_loaded_from", None)
    if origin is not None and steps:
        return Load("lazy", _to_write(context, steps), _name(origin.manager.mapper))
    if (state := getattr(options, "_refresh_state", None)) is not None:
        return _of_columns(context, state, options)
    if steps:
        return Load("batch", _written(context, steps), _name(steps[-1][0].mapper))
    return _of_subclass(context) if _in_list(context) else None


def loaded(context: Any) -> tuple[str, ...]:
    """The classes whose instances a statement may bring, joined relationships among them.

    Subclasses count: a SELECT of employees brings managers. A refresh brings nothing that was not there.
    """
    options = context.execution_options.get("_sa_orm_load_options")
    if getattr(options, "_refresh_state", None) is not None:
        return ()
    mappers = [entity.mapper for entity in _entities(context)]
    mappers += [steps[-1][1].mapper for steps in _joined(context)]
    return tuple(dict.fromkeys(_name(each) for mapper in mappers for each in mapper.self_and_descendants))


def eager(context: Any) -> tuple[Eager, ...]:
    """The relationships that a statement loads along: those it joins, and the one it was made for."""
    found = [_steps(context)] if (load := relationship_load(context)) and load.kind == "batch" else []
    before = _steps(context)
    found += [[*before, *steps] for steps in _joined(context)]
    return tuple(
        Eager(_written(context, steps), weakref.ref(steps[-1][1].parent.class_), steps[-1][1].key)
        for steps in found
        if steps
    )


def _of_columns(context: Any, state: Any, options: Any) -> Load:
    mapper, only = state.manager.mapper, context.invoked_statement._compile_options._only_load_props
    keys = [key for key in only or () if key in mapper.column_attrs]
    if getattr(options, "_is_user_refresh", False) or not keys:
        loader = f"select({_class(mapper)}).execution_options(populate_existing=True)"
    elif not state.expired_attributes.intersection(keys):
        loader = ", ".join(f"undefer({_class(_first(mapper, key))}.{key})" for key in sorted(keys))
    elif not state.expired and (base := _without(mapper, keys)):
        loader = f"selectin_polymorphic({_class(base)}, [{_class(mapper)}])"
    else:
        loader = "expire_on_commit=False"
    return Load("column", loader, _name(mapper))


def _of_subclass(context: Any) -> Load | None:
    """The load of `selectin_polymorphic`, which has no path."""
    for mapper in _mappers(context):
        if mapper.inherits is not None:
            base = mapper.base_mapper
            return Load("batch", f"selectin_polymorphic({_class(base)}, [{_class(mapper)}])", _name(mapper))
    return None


def _first(mapper: Mapper[Any], key: str) -> Mapper[Any]:
    """The class that an inherited column comes from."""
    return [each for each in mapper.iterate_to_root() if key in each.column_attrs][-1]


def _without(mapper: Mapper[Any], keys: Sequence[str]) -> Mapper[Any] | None:
    """The nearest ancestor whose SELECT has none of the columns; None where every one has some."""
    ancestors = list(mapper.iterate_to_root())[1:]
    return next((each for each in ancestors if not any(key in each.column_attrs for key in keys)), None)


def _to_write(context: Any, steps: Sequence[Step]) -> str:
    """The option that loads the last step along with the others, which stay as they are."""
    *before, (entity, last) = steps
    # Joined, a collection would repeat the row of its parent for each member; one instance does not.
    option = f"{'selectinload' if last.uselist else 'joinedload'}({_class(entity)}.{last.key})"
    if not before:
        return option
    return f"{_written(context, before, of=entity, added=True)}.{option}"


def _written(context: Any, steps: Sequence[Step], *, of: Any = None, added: bool = False) -> str:
    """The options that the steps are loaded by, as they are written; `of` is what the last one is of.

    A step without an option of its own is loaded as its relationship declares: alone, that declaration is
    named; where something is `added` below it, `defaultload` leaves it as it is.
    """
    options = _options(context)
    asked = [options.get(_place(steps[:depth]), options.get(())) for depth in range(1, len(steps) + 1)]
    _, last = steps[-1]
    if not asked[-1] and not added and last.lazy in _LOADERS:
        return f'relationship(lazy="{last.lazy}") of {_class(last.parent)}.{last.key}'
    targets = [entity for entity, _ in steps[1:]] + [of or _target(context, last)]
    return ".".join(
        f"{_LOADERS.get(how or '', 'defaultload')}({_class(entity)}.{prop.key}{_of_type(prop, target)})"
        for (entity, prop), how, target in zip(steps, asked, targets, strict=True)
    )


def _of_type(prop: Any, target: Any) -> str:
    if target is None:
        return ""
    if named := [each for each in getattr(target, "with_polymorphic_mappers", ()) if each is not prop.mapper]:
        return f".of_type({_class(named[-1])})" if len(named) == 1 else ""
    return f".of_type({_class(target)})" if target.mapper is not prop.mapper else ""


def _target(context: Any, last: Any) -> Any:
    """The entity that a batch load selects, where it is of the last relationship."""
    return next((each for each in _entities(context) if each.mapper.isa(last.mapper)), None)


def _options(context: Any) -> dict[tuple[Any, ...], str]:
    """The strategy that options ask for, by the path that they ask it for; that of "*" by the empty one."""
    given = (
        element
        for option in getattr(context.invoked_statement, "_with_options", ())
        for element in getattr(option, "context", ())
    )
    asked = ((element.path.path, dict(element.strategy or ()).get("lazy")) for element in given)
    return {_place(_pairs(path)): how for path, how in asked if how in _LOADERS}


def _place(steps: Sequence[Step]) -> tuple[Any, ...]:
    """A path without its aliases: what an option is for, and a statement's own, are compared by it."""
    return tuple(prop for _, prop in steps)


def _steps(context: Any) -> list[Step]:
    """The path that a statement of the ORM was made for; empty for any other."""
    options = getattr(context.invoked_statement, "_compile_options", None)
    path = getattr(options, "_current_path", None)
    return _pairs(path.path) if path is not None else []


def _joined(context: Any) -> list[list[Step]]:
    """The paths of the relationships that a statement joins to load them along."""
    attributes = getattr(getattr(context.compiled, "compile_state", None), "attributes", {})
    keys = [key for key in attributes if isinstance(key, tuple) and key[0] == "eager_row_processor"]
    return [_pairs(path) for _, path in keys]


def _pairs(path: Sequence[Any]) -> list[Step]:
    """The steps of a path; of one that goes on with a wildcard (`"*"`), none."""
    steps = list(zip(path[::2], path[1::2], strict=False))
    return steps if all(hasattr(prop, "uselist") for _, prop in steps) else []


def _entities(context: Any) -> Iterator[Any]:
    """Mappers, or aliases of them, whose instances are among the results."""
    state = getattr(context.compiled, "compile_state", None)
    for each in getattr(state, "_entities", ()):
        if getattr(each, "mapper", None) is not None and type(each).__name__ == "_MapperEntity":
            yield each.entity_zero


def _mappers(context: Any) -> list[Mapper[Any]]:
    return [each.mapper for each in _entities(context)]


def _in_list(context: Any) -> bool:
    bound = getattr(context.compiled, "binds", {}).get(_IN_LIST)
    return bool(getattr(bound, "expanding", False))


def _class(entity: Any) -> str:
    return str(entity.mapper.class_.__name__)


def _name(mapper: Mapper[Any]) -> str:
    return f"{mapper.class_.__module__}.{mapper.class_.__qualname__}"
