"""Types checked at run time, without paying for shapes where no shape is written.

jaxtyping wraps every function to hold the sizes of its axes, and checks the arguments twice. Most
functions name no axis: beartype alone checks them, once, in a fifth of the time. What names one,
what is a generator and what has an annotation that is still a string stays with jaxtyping.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, ForwardRef, get_args

import jaxtyping
from beartype.roar import BeartypeException

_jaxtyped = jaxtyping.jaxtyped


def _names_no_axis(hint: Any) -> bool:
    if isinstance(hint, list | tuple):  # the arguments of a Callable
        return all(map(_names_no_axis, hint))
    if isinstance(hint, str | ForwardRef):
        return False
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return False
    return all(map(_names_no_axis, get_args(hint)))


def _is_plain(function: Any) -> bool:
    return (
        inspect.isfunction(function)
        and not inspect.isgeneratorfunction(function)
        and not inspect.iscoroutinefunction(function)
        and not inspect.isasyncgenfunction(function)
        and all(map(_names_no_axis, function.__annotations__.values()))
    )


def checked(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What stands in place of `jaxtyping.jaxtyped`."""

    def decorate(thing: Any) -> Any:
        try:
            if dataclasses.is_dataclass(thing) and _is_plain(thing.__init__):
                thing.__init__ = typechecker(thing.__init__)
                return thing
            if _is_plain(thing):
                return typechecker(thing)
        except BeartypeException:  # an annotation that jaxtyping knows how to read
            pass
        return _jaxtyped(thing, typechecker=typechecker)

    return decorate


def install(package: str) -> None:
    """Check every annotated function of `package`, which is not imported yet."""
    jaxtyping.jaxtyped = checked
    jaxtyping.install_import_hook(package, "beartype.beartype")
