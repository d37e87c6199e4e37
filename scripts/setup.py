"""Prepares a checkout on Debian or Ubuntu, with nothing there but Python 3.11+: `python3 -m scripts.setup WHAT`.

    demo     .venv with the locked packages, the system libraries that MediaPipe and OpenCV load, and the inner loops
             compiled
    test     that, what the tests start (Apache Kafka with its Java, an RTSP server), and the tools that check deploy/
    kafka    Apache Kafka with its Java only

Says what it does, does nothing twice, and installs Debian packages only as root; else it names the command and stops.
TORCH_BACKEND=cpu takes the small CPU build of PyTorch from its own index, and everything else from the lock.
"""

import ctypes
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from scripts import broker, tools

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
UV: Final = VENV / "bin" / "uv"
LOCK: Final = ROOT / "requirements.lock"

CUDA_BUILD: Final = re.compile(r"(torch|triton)==|(nvidia|cuda)-")
"""How the lock's entries of PyTorch, and of what only its CUDA build needs, begin."""


def has_library(name: str) -> bool:
    """Whether the loader finds a shared library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def has_package(name: str) -> bool:
    """Whether a Debian package is installed."""
    query = ["dpkg-query", "--show", "--showformat=${Status}", name]
    return subprocess.run(query, capture_output=True, text=True).stdout.endswith(" installed")


LIBRARIES: Final[dict[str, Callable[[], bool]]] = {
    "libegl1": lambda: has_library("libEGL.so.1"),
    "libgles2": lambda: has_library("libGLESv2.so.2"),
    "libgl1": lambda: has_library("libGL.so.1"),
    "libglib2.0-0": lambda: has_library("libglib-2.0.so.0"),
    "python3-venv": lambda: importlib.util.find_spec("ensurepip") is not None,
}
"""Debian package to whether what it brings is there already."""

KAFKA: Final[dict[str, Callable[[], bool]]] = {
    "default-jre-headless": lambda: shutil.which("java") is not None,
    "maven": lambda: shutil.which("mvn") is not None,
}

GO: Final[dict[str, Callable[[], bool]]] = {"golang-go": lambda: shutil.which("go") is not None}

RTSP_SERVER: Final[dict[str, Callable[[], bool]]] = {
    name: lambda name=name: has_package(name)  # type: ignore[misc]
    for name in (
        "gir1.2-gst-rtsp-server-1.0", "python3-gi", "gstreamer1.0-libav", "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good", "gstreamer1.0-plugins-bad", "gstreamer1.0-plugins-ugly",
    )
}  # fmt: skip


def main(what: str) -> None:
    """Do all that `what` needs."""
    if what == "kafka":
        install_debian(KAFKA)
    else:
        install_debian(LIBRARIES if what == "demo" else LIBRARIES | KAFKA | RTSP_SERVER)
        install_python()
        compile_loops()
    if what != "demo" and not broker.JARS.exists():
        say("Apache Kafka's jars in .cache")
        broker.fetch()
    if what == "test":
        if os.geteuid() == 0:
            install_debian(GO)  # nobody else is kept from the other tests for want of it
        say("tools that check deploy/, in .cache")
        tools.main()


def install_debian(packages: dict[str, Callable[[], bool]]) -> None:
    """Install those Debian packages of which something is missing, or name them and exit."""
    missing = [name for name, there in packages.items() if not there()]
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(
            "These Debian packages are missing. Install them, then run this again:\n"
            f"    sudo apt-get update && sudo {' '.join(command)}"
        )
    say(f"Debian packages {' '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "--quiet=2", env=environment)
    run(*command, "--quiet=2", env=environment)


def install_python() -> None:
    """.venv with exactly the packages of the lock, hashes checked, and this checkout as `microex`."""
    backend = os.environ.get("TORCH_BACKEND", "")
    lock = LOCK.read_text()
    inputs = (lock, (ROOT / "pyproject.toml").read_text(), backend, sys.version, str(ROOT))
    state = hashlib.sha256("\0".join(inputs).encode()).hexdigest()
    stamp = VENV / "installed"
    if stamp.exists() and stamp.read_text() == state:
        return
    stamp.unlink(missing_ok=True)
    say(".venv with uv")
    run(sys.executable, "-m", "venv", "--clear", VENV)
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
    run(*pip, "--requirement", extract(lock, lambda pin: pin.startswith("uv==")))
    say("the packages of requirements.lock (5 GB, most of it CUDA for PyTorch; TORCH_BACKEND=cpu leaves that out)")
    sync = (UV, "pip", "sync", "--python", PYTHON, "--quiet", "--require-hashes", "--no-build")
    install = (UV, "pip", "install", "--python", PYTHON, "--quiet", "--no-deps")
    if backend:
        run(*sync, extract(lock, lambda pin: not CUDA_BUILD.match(pin)))
        [torch] = re.findall(r"(?m)^torch==\S+", lock)
        run(*install, f"--torch-backend={backend}", torch)
    else:
        run(*sync, LOCK)
    run(*install, "--no-build-isolation", "--editable", ROOT)
    stamp.write_text(state)


def compile_loops() -> None:
    """Machine code of the inner loops, which Numba keeps beside their sources, so that nobody waits for it later."""
    sources = [file for file in (ROOT / "services").rglob("*.py") if "\n@compiled(" in file.read_text()]
    kept = [file.parent.glob(f"__pycache__/{file.stem}.*.nbi") for file in sources]
    if any(
        file.stat().st_mtime > max((index.stat().st_mtime for index in indices), default=0)
        for file, indices in zip(sources, kept, strict=True)
    ):
        say("inner loops as machine code (a minute)")
        run(PYTHON, "-c", "import services.spotter.core")


def extract(lock: str, wanted: Callable[[str], bool]) -> Path:
    """A file with those entries of the lock, each a pin and its hashes, that are wanted."""
    entries = re.split(r"(?m)^(?=\S)", lock)
    part = VENV / "requirements.txt"
    part.write_text("".join(entry for entry in entries if wanted(entry)))
    return part


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a command, showing what it shows; exit with its name when it fails."""
    words = [str(word) for word in command]
    if code := subprocess.run(words, stdin=subprocess.DEVNULL, env=env, cwd=ROOT).returncode:
        sys.exit(
            f"This failed with exit code {code}; its own words are above. Then run make again:\n    {' '.join(words)}"
        )


def say(what: str) -> None:
    """Announce a step."""
    print(f"setup: {what}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("demo", "test", "kafka"):
        sys.exit("usage: python3 -m scripts.setup demo|test|kafka")
    try:
        main(sys.argv[1])
    except broker.BrokerError as error:
        sys.exit(str(error))
