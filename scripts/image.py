"""What a container image holds, and nothing else; deploy/Dockerfile runs it in its build stages, a test without Docker.

python -m scripts.image tools              uv and setuptools as the lock has them, for this interpreter
python -m scripts.image wheel              microex itself, into dist/
python -m scripts.image VENV EXTRA         a virtual environment with that extra's packages as the lock has them,
                                           hashes checked, and microex from dist/
python -m scripts.image VENV EXTRA cpu     likewise, with PyTorch's small CPU build in the locked version
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.setup import CUDA_BUILD, LOCK, ROOT, run

TOOLS: Final = ("uv", "setuptools")
UV: Final = (sys.executable, "-m", "uv")


def install_tools() -> None:
    """What the other two commands need, into the interpreter that runs this."""
    names = {f"{tool}==" for tool in TOOLS}
    with _locked(lambda pin: pin.startswith(tuple(names))) as pins:
        run(sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", pins)


def build_wheel() -> None:
    """dist/microex-….whl"""
    run(*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable)


def install(venv: Path, extra: str, backend: str | None = None) -> None:
    """Make `venv` with `extra`. backend: PyTorch's, such as cpu; None: as locked, with CUDA.

    PyTorch's own index has builds that the lock has no hashes of, so only their version is held to the lock.
    """
    run(*UV, "venv", "--quiet", "--python", sys.executable, venv)
    to = ("--quiet", "--python", venv / "bin" / "python")
    wanted = _names(extra)

    def needed(pin: str) -> bool:
        return pin.split("==")[0] in wanted and not (backend and CUDA_BUILD.match(pin))

    with _locked(needed) as pins:
        run(*UV, "pip", "sync", *to, "--require-hashes", "--no-build", pins)
    if backend:
        [torch] = re.findall(r"(?m)^torch==\S+", LOCK.read_text())
        run(*UV, "pip", "install", *to, "--no-deps", f"--torch-backend={backend}", torch)
    [wheel] = (ROOT / "dist").glob("microex-*.whl")
    run(*UV, "pip", "install", *to, "--no-deps", wheel)


def _names(extra: str) -> set[str]:
    """Packages that an extra needs on this platform, itself and what it pulls in."""
    with tempfile.NamedTemporaryFile(suffix=".txt") as found:
        run(*UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python", sys.executable,
            "--extra", extra, "--constraint", LOCK, "pyproject.toml", "--output-file", found.name)  # fmt: skip
        return set(re.findall(r"(?m)^([a-z0-9-]+)==", Path(found.name).read_text()))


@contextmanager
def _locked(wanted: Callable[[str], bool]) -> Iterator[Path]:
    """A file with those entries of the lock, each a pin and its hashes, that are wanted."""
    entries = re.split(r"(?m)^(?=\S)", LOCK.read_text())
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as part:
        part.writelines(entry for entry in entries if wanted(entry))
        part.flush()
        yield Path(part.name)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tools"]:
            install_tools()
        case ["wheel"]:
            build_wheel()
        case [venv, extra, *backend] if len(backend) <= 1:
            install(Path(venv).resolve(), extra, *backend)
        case _:
            sys.exit(__doc__)
