"""Tools that the tests of deploy/ need: kustomize, Prometheus, and the schemas of what the manifests speak.

    python3 -m scripts.tools     fetches into .cache what is not there yet; says by name what cannot be had, and how to

Each is a pinned version from its own registry: Go modules (hashes checked by go), Debian packages (by apt), Maven.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.broker import ROOT

CACHE: Final = ROOT / ".cache" / "tools"

KUSTOMIZE: Final = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
SCHEMAS: Final = {
    "keda": ("github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases"),
    "monitoring": ("github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd"),
    "cert-manager": ("github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds"),
    "compose": ("github.com/compose-spec/compose-go/v2@v2.16.2", "schema"),
}  # fmt: skip
"""Go module, and the folder in it that holds the definitions."""

STRIMZI_POM: Final = ROOT / "scripts" / "strimzi" / "pom.xml"
STRIMZI: Final = {
    "kafka.Kafka": "kafka", "nodepool.KafkaNodePool": "nodepool", "topic.KafkaTopic": "topic", "user.KafkaUser": "user",
}  # fmt: skip
"""Class of Strimzi's API to the name of the file with its definition."""

GO_HOW: Final = "install Go 1.21 or newer (on Debian 13: sudo apt-get install golang-go), then run make test again"


class Missing(RuntimeError):
    """A tool is not there and could not be fetched; the text names it and says how to install it."""


def kustomize() -> Path:
    """The command kustomize, built from its module. Raises Missing."""

    def build(folder: Path) -> None:
        _run("kustomize", GO_HOW, ["go", "install", KUSTOMIZE], _go() | {"GOBIN": str(folder)})

    return _made("kustomize-5.7.1", build) / "kustomize"


def prometheus() -> Path:
    """A folder with the commands prometheus and promtool: those on the PATH, else out of Debian's package, which is
    unpacked and not installed: it would start a server. Raises Missing."""
    if (installed := shutil.which("promtool")) and shutil.which("prometheus"):
        return Path(installed).parent

    def unpack(folder: Path) -> None:
        how = "sudo apt-get install prometheus"
        try:
            _run("prometheus", how, ["apt-get", "download", "prometheus"], {}, folder)
        except Missing:
            _run("prometheus", how, ["apt-get", "update", "--quiet=2"], {}, folder)
            _run("prometheus", how, ["apt-get", "download", "prometheus"], {}, folder)
        [package] = folder.glob("prometheus_*.deb")
        _run("prometheus", how, ["dpkg-deb", "--extract", str(package), str(folder)], {}, folder)
        package.unlink()

    return _made("prometheus", unpack) / "usr" / "bin"


def schemas(name: str) -> Path:
    """The folder with one of SCHEMAS. Raises Missing."""
    module, inside = SCHEMAS[name]

    def download(folder: Path) -> None:
        answer = _run(f"the schemas of {name}", GO_HOW, ["go", "mod", "download", "-json", module], _go())
        shutil.copytree(Path(json.loads(answer)["Dir"]) / inside, folder, dirs_exist_ok=True)

    return _made(f"{name}-{module.split('@')[1]}", download)


def strimzi() -> Path:
    """A folder with the definitions of Strimzi's resources, written by its own generator. Raises Missing."""

    def generate(folder: Path) -> None:
        how = "sudo apt-get install maven default-jre-headless"
        jars = folder / "jars"
        _run("the schemas of Strimzi", how, [
            "mvn", "--quiet", "--batch-mode", "--strict-checksums", f"--file={STRIMZI_POM}",
            f"-Dmaven.repo.local={ROOT / '.cache' / 'm2'}",
            "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies", f"-DoutputDirectory={jars}",
        ])  # fmt: skip
        classes = [f"io.strimzi.api.kafka.model.{name}={folder / file}.yaml" for name, file in STRIMZI.items()]
        generator = ["java", "-cp", f"{jars}/*", "io.strimzi.crdgenerator.CrdGenerator"]
        options = ["--target-kube", "1.27+", "--crd-api-version", "v1", "--yaml", *classes]
        _run("the schemas of Strimzi", how, [*generator, *options])
        shutil.rmtree(jars)

    return _made("strimzi-0.51.0", generate)


ALL: Final[tuple[Callable[[], Path], ...]] = (
    kustomize,
    prometheus,
    strimzi,
    *(lambda name=name: schemas(name) for name in SCHEMAS),
)


def _go() -> dict[str, str]:
    """Where go keeps its things: a cache that `make clean` can remove, and the machine's own settings otherwise."""
    return {"GOPATH": str(ROOT / ".cache" / "go"), "GOFLAGS": "-modcacherw"}


def _made(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name in the cache, made when it is not there; others who ask meanwhile wait."""
    folder = CACHE / name
    with _lock(CACHE / f"{name}.lock"):
        if not folder.exists():
            half = CACHE / f"{name}.part"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            make(half)
            half.rename(folder)
    return folder


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(tool: str, how: str, command: list[str], env: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    """What a command prints. Raises Missing, naming the tool and how to install it."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise Missing(f"{tool}: there is no {command[0]}; {how}") from None
    if done.returncode:
        raise Missing(f"{tool}: `{' '.join(command[:3])}` failed; {how}\n{done.stderr.strip()[-600:]}")
    return done.stdout


def main() -> None:
    """Fetch everything; name what could not be had, which is no failure: its tests are skipped by name."""
    for fetch in ALL:
        try:
            fetch()
        except Missing as missing:
            print(f"tools: {missing}", file=sys.stderr)


if __name__ == "__main__":
    main()
