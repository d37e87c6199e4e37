"""Inner loops as machine code: what every frame needs, and would spend its time on in the interpreter.

Numba translates a function when its module is first imported, which takes seconds, and keeps the result beside the
source, or where that cannot be written, under $NUMBA_CACHE_DIR or the user's cache. By itself it translates anew when
the function's own file has changed; here also when a number or a function that it takes in from another file has.
"""

import inspect
from collections.abc import Callable, Iterator
from hashlib import sha256
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import config, njit
from numba.core.caching import InTreeCacheLocator, UserProvidedCacheLocator, UserWideCacheLocator
from numba.core.dispatcher import Dispatcher

F = TypeVar("F", bound=Callable[..., object])

_FAST: Final = {"reassoc", "contract", "arcp", "nsz"}
"""Sums may be taken in any order, so that processors take them in parallel; what is not finite stays what it is."""


def compiled(signature: str) -> Callable[[F], F]:
    """Translates for arguments of those types alone, in Numba's notation: "f4[:,::1]" is a gapless float32 matrix."""

    def translate(function: F) -> F:
        return cast(F, njit(signature, cache=True, nogil=True, fastmath=_FAST, error_model="numpy")(function))

    return translate


def inlined(function: F) -> F:
    """For what compiled functions call: translated into each of them, for whatever they pass."""
    return cast(F, njit(nogil=True, fastmath=_FAST, error_model="numpy")(function))


def _names(code: CodeType) -> Iterator[str]:
    """What a function and the comprehensions in it name."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def taken_in(function: FunctionType, known: set[FunctionType] | None = None) -> Iterator[bytes]:
    """What its machine code holds beside its own source: numbers, arrays and functions that it names, by name or as
    module.name; of functions, what they take in as well."""
    known = {function} if known is None else known
    names, own = list(_names(function.__code__)), function.__globals__
    spaces = [own, *(vars(own[name]) for name in names if isinstance(own.get(name), ModuleType))]
    for name in names:
        for value in (space[name] for space in spaces if name in space):
            if isinstance(value, Dispatcher):
                if value.py_func not in known:
                    known.add(value.py_func)
                    yield inspect.getsource(value.py_func).encode()
                    yield from taken_in(value.py_func, known)
            elif isinstance(value, np.ndarray):
                yield value.tobytes()
            elif isinstance(value, int | float | np.generic | str | tuple):
                yield f"{name} {value!r}".encode()


class _Stamped:
    """Makes what was taken in a part of what kept code is told by."""

    holds: str

    @classmethod
    def from_function(cls, function: FunctionType, file: str) -> Any:
        locator = super().from_function(function, file)  # type: ignore[misc]
        if locator is not None:
            locator.holds = sha256(b"\0".join(taken_in(function))).hexdigest()
        return locator

    def get_source_stamp(self) -> tuple[Any, str]:
        return super().get_source_stamp(), self.holds  # type: ignore[misc]


class Given(_Stamped, UserProvidedCacheLocator):
    """In $NUMBA_CACHE_DIR."""


class Beside(_Stamped, InTreeCacheLocator):
    """In the folder of the source."""


class Users(_Stamped, UserWideCacheLocator):
    """In the user's cache."""


# Where Numba looks, in this order, unless $NUMBA_CACHE_LOCATOR_CLASSES says otherwise.
_PLACES: Final = ",".join(f"{__name__}.{place.__name__}" for place in (Given, Beside, Users))
config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES or _PLACES  # type: ignore[attr-defined]
