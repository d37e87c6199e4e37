"""Machine code that is kept: used again as long as all that went into it is the same, and no longer."""

import subprocess
import sys
from pathlib import Path

NUMBERS = """
import numpy as np
from services.motion.compiled import inlined
STEP = {step}
TABLE = np.array([{entry}.0])

@inlined
def doubled(value):
    return {factor} * value
"""

LOOPS = """
import numbers_of_it as shape
from numbers_of_it import TABLE, doubled
from services.motion.compiled import compiled

@compiled("f8(f8)")
def moved(value):
    return sum([doubled(value) + shape.STEP + TABLE[k] for k in range(1)])

print(moved(1.0), sum(moved.stats.cache_hits.values()))
"""


def run(folder: Path, **numbers: int) -> tuple[float, int]:
    """What the function says with these numbers, and how often kept code was used."""
    (folder / "numbers_of_it.py").write_text(NUMBERS.format(**numbers))
    done = subprocess.run(
        [sys.executable, "-B", "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); import loops"],
        check=True,
        capture_output=True,
        text=True,
    )
    said, hits = done.stdout.split()
    return float(said), int(hits)


def test_kept_code_is_used_until_a_number_or_a_function_of_another_file_changes(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(LOOPS)
    assert run(tmp_path, step=10, entry=100, factor=2) == (112.0, 0)
    assert run(tmp_path, step=10, entry=100, factor=2) == (112.0, 1)
    assert run(tmp_path, step=20, entry=100, factor=2) == (122.0, 0), "a number of a module"
    assert run(tmp_path, step=20, entry=300, factor=2) == (322.0, 0), "a table"
    assert run(tmp_path, step=20, entry=300, factor=3) == (323.0, 0), "an inlined function"
