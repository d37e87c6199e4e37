"""Inner loops as machine code: what every frame needs, and would spend its time on in the interpreter.

Numba translates a function when its module is first imported, which takes seconds, and keeps the result beside the
source, or where that cannot be written, under $NUMBA_CACHE_DIR or the user's cache.
"""

from collections.abc import Callable
from typing import Final, TypeVar, cast

from numba import njit

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
