"""Annotation sheets, .xlsx and .csv: found by their columns, read row by row, faults named by file and row.

Sheets circulate in many copies: with a page of text before the header, with columns more or fewer, with numbers where
text was. So a sheet is known by its columns' names, whatever their order, and every cell is text until a reader asks
for more.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from services.common.errors import Fatal, Poison

Columns = Mapping[str, tuple[str, ...]]
"""Name that a reader uses to the names that sheets use, compared without case, spaces and punctuation."""

HEADER_WITHIN: Final = 30
"""Rows in which the header is looked for."""

DEPTH: Final = 3
"""Folders below the root in which sheets are looked for."""

MISSING: Final = frozenset({"", "/", "\\", "-", "-1", "nan", "none", "null", "n/a"})


@dataclass(frozen=True)
class Table:
    """One page: all cells as text, row by row, as they stand."""

    file: Path
    page: str
    rows: list[list[str]]


@dataclass(frozen=True)
class Row:
    """One row under a header. number: as the spreadsheet shows it. cells: by the reader's names."""

    file: Path
    number: int
    cells: Mapping[str, str]

    @property
    def source(self) -> str:
        return f"{self.file.name}, row {self.number}"

    def fault(self, text: str, **context: Any) -> Poison:
        """An error that says where."""
        return Poison(text, file=str(self.file), row=self.number, **context)

    def maybe(self, column: str) -> str | None:
        """The cell, None when it is blank or says that there is nothing."""
        text = self.cells.get(column, "")
        return None if text.casefold() in MISSING else text

    def text(self, column: str) -> str:
        """The cell; raises Poison when there is nothing in it."""
        text = self.maybe(column)
        if text is None:
            raise self.fault("cell is empty: fill it, or delete the row", column=column)
        return text

    def number_in(self, column: str) -> float:
        """The cell as a number above 0; raises Poison when it is none."""
        text = self.text(column)
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0 < value < float("inf"):
            raise self.fault("cell is no number above 0", column=column, cell=text)
        return value

    def frame(self, column: str, fractional: bool = False) -> int:
        """The cell as a frame number; raises Poison when it is none. fractional: round instead of refusing 12.5."""
        value = self.maybe_frame(column, fractional)
        if value is None:
            raise self.fault("frame number is missing: fill it, or delete the row", column=column)
        return value

    def maybe_frame(self, column: str, fractional: bool = False) -> int | None:
        """As `frame`; None when the cell is blank or holds "/" or -1."""
        text = self.maybe(column)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0 <= value < 1e9 or not (fractional or value.is_integer()):
            raise self.fault("cell is no frame number", column=column, cell=text)
        return round(value)


def read_tables(file: Path) -> list[Table]:
    """All pages of one file. Raises Poison for a file that cannot be read."""
    if file.suffix.lower() == ".csv":
        return [Table(file, "", _csv_rows(file))]
    if file.suffix.lower() == ".xls":
        raise Poison("old Excel format: open it and save it as .xlsx or .csv", file=str(file))
    try:
        # Read-only mode trusts a size that some programs write wrongly, and then loses rows.
        book = load_workbook(file, data_only=True)
    except (OSError, BadZipFile, KeyError, ValueError, InvalidFileException) as error:
        raise Poison("not a spreadsheet that can be read", file=str(file), error=str(error)) from error
    return [
        Table(file, page.title, [[_text(cell) for cell in row] for row in page.iter_rows(values_only=True)])
        for page in book.worksheets
    ]


def find_rows(
    root: Path,
    columns: Columns,
    optional: Columns | None = None,
    several: bool = False,
    without: tuple[str, ...] = (),
) -> list[Row]:
    """Rows of the sheet under `root` that has all of `columns`; `optional` ones are taken where they are.

    root: a folder, or the sheet itself. several: rows of all sheets that fit, instead of refusing more than one.
    without: a sheet that has this column is another one. Raises Fatal when none or too many fit, Poison when a sheet
    cannot be read.
    """
    fitting = [table for table in _tables(root) if _fits(table, columns, without)]
    if not fitting:
        wanted = [names[0] for names in columns.values()]
        raise Fatal(
            "no sheet (.xlsx, .csv) with these columns: put it into the folder", folder=str(root), columns=wanted
        )
    if len(fitting) > 1 and not several:
        names = sorted({f"{table.file.name} {table.page}".strip() for table in fitting})
        raise Fatal("several sheets fit: keep the one that is meant in the folder", folder=str(root), sheets=names)
    return [row for table in fitting for row in rows_of(table, columns, optional or {})]


def rows_of(table: Table, columns: Columns, optional: Columns) -> Iterator[Row]:
    """Rows below the header; those without anything in `columns` are notes, and left out."""
    found = _header(table, columns)
    assert found is not None
    at, names = found
    places = {name: _place(names, aliases) for name, aliases in {**columns, **optional}.items()}
    for number, row in enumerate(table.rows[at + 1 :], at + 2):
        cells = {name: row[place] for name, place in places.items() if place is not None and place < len(row)}
        if sum(bool(cells.get(name)) for name in columns) > 1:
            yield Row(table.file, number, cells)


def _tables(root: Path) -> Iterator[Table]:
    if root.is_file():
        yield from read_tables(root)
        return
    if not root.is_dir():
        raise Fatal("there is no such folder", folder=str(root))
    for file in sheet_files(root):
        if file.suffix.lower() != ".xls":
            yield from read_tables(file)
    if not any(file.suffix.lower() in (".xlsx", ".csv") for file in sheet_files(root)):
        for file in sheet_files(root):
            yield from read_tables(file)  # an .xls alone: say what to do with it


def sheet_files(root: Path) -> list[Path]:
    """Spreadsheets near the top of a folder, in order of their names; those that an open Excel leaves are not."""
    patterns = ["/".join(["*"] * depth) for depth in range(1, DEPTH + 1)]
    found = (file for pattern in patterns for file in sorted(root.glob(pattern)))
    return [f for f in found if f.suffix.lower() in (".xlsx", ".xls", ".csv") and not f.name.startswith(("~", "."))]


def _header(table: Table, columns: Columns) -> tuple[int, list[str]] | None:
    for at, row in enumerate(table.rows[:HEADER_WITHIN]):
        names = [_bare(cell) for cell in row]
        if all(_place(names, aliases) is not None for aliases in columns.values()):
            return at, names
    return None


def _fits(table: Table, columns: Columns, without: tuple[str, ...]) -> bool:
    found = _header(table, columns)
    return found is not None and (not without or _place(found[1], without) is None)


def _place(names: list[str], aliases: tuple[str, ...]) -> int | None:
    return next((names.index(_bare(alias)) for alias in aliases if _bare(alias) in names), None)


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", text.casefold())


def _csv_rows(file: Path) -> list[list[str]]:
    data = file.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # what Excel saves where it does not save UTF-8
    first = text.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    return [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=separator)]


def _text(value: Any) -> str:
    # A spreadsheet turns "4" into the number 4.0.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()
