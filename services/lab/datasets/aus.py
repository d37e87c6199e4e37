"""What coders write into a cell for action units (AUs), read into codes with side, intensity and alternatives.

The grammar is what the sheets of CASME II, SAMM, CAS(ME)2, CAS(ME)3, DFME and 4DME hold, after the notation of Ekman,
Friesen & Hager, "Facial Action Coding System" (2002):

    cell         = "none" | item { ("+" | "," | ";") item }
    item         = part { ("/" | "or") part }, in brackets or not
    part         = side | intensity | [sides] ["AU" | "AD" | "M"] number [intensity] | "ref(" number ")"
    side         = L(eft) | R(ight) | T(op) | B(ottom) | A(symmetric)     before the number
    intensity    = A | B | C | D | E, trace to maximum                      after the number

A part that is only a side widens the code after it ("A/L12"), one that is only an intensity the code before it
("10A/B", "4(B/C)"). Whatever else people write is kept as free text and never raises.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.motion.aus import AU_INDEX, AUS

Side = Literal["left", "right", "top", "bottom", "asymmetric"]

_SIDES: Final[dict[str, Side]] = {"L": "left", "R": "right", "T": "top", "B": "bottom", "A": "asymmetric"}
_CODE: Final = re.compile(r"(REF)?([LRTBA]*?)(AU|AD|M)?([1-9]\d?)([A-E]?)")
_INTENSITIES_IN_BRACKETS: Final = re.compile(r"(?<=\d)\(([A-E](?:/[A-E])*)\)")
_REFERENCE: Final = re.compile(r"REF\.?\(((?:AU|AD|M)?\d{1,2}[A-E]?)\)")
_NONE: Final = frozenset({"NONE", "NO", "NIL", "0"})
_NOT_CODED: Final = frozenset({"", "/", "-", "?", "NAN", "N/A", "NA"})


@dataclass(frozen=True)
class CodedAu:
    """One code. code: "AU12", or "AD38" and "M57" for descriptors and head movements.

    sides: where it acted as the coder wrote it, empty for both sides; more than one: the coder could not tell.
    intensities: "A" to "E" likewise. reference: named for comparison, as in "ref(10)", not as something that moved.
    """

    code: str
    sides: tuple[Side, ...] = ()
    intensities: tuple[str, ...] = ()
    reference: bool = False


@dataclass(frozen=True)
class AuCell:
    """A cell. coded: each item with its alternatives, one where the coder was sure. unread: free text."""

    coded: tuple[tuple[CodedAu, ...], ...] = ()
    unread: tuple[str, ...] = ()


def parse_aus(text: object) -> AuCell | None:
    """Read a cell as it comes from a spreadsheet; None when nothing was coded, an empty `AuCell` for "none"."""
    if text is None:
        return None
    cell = unicodedata.normalize("NFKC", _plain(text)).upper().strip()
    if cell in _NOT_CODED:
        return None
    if cell in _NONE:
        return AuCell()
    items, unread = [], []
    for item in _items(cell):
        alternatives = _alternatives(item)
        if alternatives:
            items.append(alternatives)
        else:
            unread.append(item)
    return AuCell(tuple(items), tuple(unread))


def without_brackets(text: str) -> str:
    """The cell less whatever stands in brackets, for sheets that put there what is not to count."""
    return re.sub(r"[(（][^()（）]*[)）]", "", text).strip(" +,;")


def occurrence(cell: AuCell | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Targets for the AU table: [A] float32 of 0 and 1, and [A] bool, whether that is known.

    Nothing is known where nobody coded; an AU that is only one of several alternatives, or a reference, is unknown.
    """
    target, known = np.zeros(len(AUS), np.float32), np.full(len(AUS), cell is not None)
    sure = [options[0] for options in cell.coded if len({o.code for o in options}) == 1] if cell else []
    unsure = [option for options in cell.coded for option in options] if cell else []
    for option in unsure:
        if option.code in AU_INDEX:
            known[AU_INDEX[option.code]] = False
    for option in sure:
        if option.code in AU_INDEX and not option.reference:
            target[AU_INDEX[option.code]], known[AU_INDEX[option.code]] = 1, True
    return target, known


def _plain(value: object) -> str:
    # A spreadsheet turns a lone "4" into the number 4.0.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _items(cell: str) -> list[str]:
    """Split at "+", "," and ";" outside brackets, spaces and "or" made regular."""
    cell = re.sub(r"(?<![A-Z])OR(?![A-Z])", "/", cell)
    cell = re.sub(r"\s*([/+,;()、])\s*", r"\1", cell)
    cell = _REFERENCE.sub(r"REF\1", _INTENSITIES_IN_BRACKETS.sub(r"\1", cell))
    items, depth, item = [], 0, ""
    for character in cell:
        depth = max(depth + (character == "(") - (character == ")"), 0)
        if character in "+,;、" and not depth:
            items.append(item)
            item = ""
        else:
            item += character
    spread = [part for whole in [*items, item] for part in _spaced(whole)]
    return [part for part in spread if part]


def _spaced(item: str) -> list[str]:
    """Codes that only a space separates, "4 7"; text that holds anything else stays one item."""
    words = item.split()
    return words if len(words) > 1 and all(_alternatives(word) for word in words) else [item.strip()]


def _alternatives(item: str) -> tuple[CodedAu, ...]:
    """The codes of one item, empty when it is free text."""
    inner = item[1:-1] if item.startswith("(") and item.endswith(")") else item
    found: list[CodedAu] = []
    sides: tuple[Side, ...] = ()
    for part in inner.split("/"):
        if not found and part in _SIDES:
            sides += (_SIDES[part],)
        elif found and part in ("A", "B", "C", "D", "E"):
            found[-1] = replace(found[-1], intensities=(*found[-1].intensities, part))
        elif match := _CODE.fullmatch(part):
            found.append(_code(match, sides))
            sides = ()
        else:
            return ()
    return () if sides else tuple(found)


def _code(match: re.Match[str], sides: tuple[Side, ...]) -> CodedAu:
    reference, letters, prefix, number, intensity = match.groups()
    return CodedAu(
        f"{prefix or 'AU'}{number}",
        tuple(dict.fromkeys(sides + tuple(_SIDES[letter] for letter in letters))),
        (intensity,) if intensity else (),
        bool(reference),
    )
