"""The images, without Docker: their commands are run in a folder that holds just what is copied into the build.

Fast because uv links packages out of its cache, which setting up the checkout has filled.
"""

import os
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from scripts.setup import ROOT
from tests.deploy import dockerfile
from tests.deploy.confined import Impossible, confined
from tests.deploy.conftest import FIGURE
from tests.support.services import Service
from tests.support.topics import Installation

STAGES = dockerfile.read(ROOT / "deploy" / "Dockerfile")
TARGETS = ("ingest", "spotter", "recognizer", "recognizer-gpu", "cli")

ABSENT = {
    "ingest": {"torch", "faust", "grpc", "redis", "pympi"},
    "spotter": {"torch", "mediapipe", "grpc", "redis", "matplotlib"},
    "recognizer": {"mediapipe", "faust", "matplotlib"},
    "recognizer-gpu": {"mediapipe", "faust", "matplotlib"},
    "cli": {"torch", "mediapipe", "faust"},
}
"""What an image must not hold; what only tests need, none."""
FOR_TESTS = {"pytest", "mypy", "ruff", "hypothesis", "pip", "uv", "sklearn"}
OF_OPERATORS = ("topics", "consent", "forget", "export", "recognize")
"""Commands that the image `cli` is there for."""

OTHER_TORCH = "recognizer-gpu" if os.environ.get("TORCH_BACKEND") else "recognizer"
"""Whose PyTorch this checkout was not set up with: not downloaded for a test."""


@dataclass
class Build:
    """A build stage at work: its folder, and a Python of its own for a start."""

    folder: Path

    def run(self, command: str, **environment: str) -> None:
        """Run what stands after RUN."""
        path = f"{self.folder / 'python' / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder / "src", env={**os.environ, "PATH": path, **environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"RUN {command}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """The stage `build`, done."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "src").mkdir()
    subprocess.run([sys.executable, "-m", "venv", folder / "python"], check=True)
    build = Build(folder)
    for word, rest in STAGES["build"].steps:
        if word == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                copy(ROOT / source, (folder / "src" / target / ("" if (ROOT / source).is_dir() else source)).resolve())
        elif word == "RUN":
            build.run(rest)
    yield build
    shutil.rmtree(folder)


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy(source, target)


@dataclass
class Image:
    target: str
    venv: Path

    def has(self, module: str) -> bool:
        code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
        return subprocess.run([self.venv / "bin" / "python", "-I", "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module", params=TARGETS)
def image(request: pytest.FixtureRequest, build: Build) -> Image:
    """The environment of one target, made as its build stage makes it."""
    target: str = request.param
    if target == OTHER_TORCH:
        pytest.skip(f"{target}: set up this checkout with" + ("out" if "gpu" in target else "") + " TORCH_BACKEND=cpu")
    venv = build.folder / target
    [command] = STAGES[f"build-{target}"].all("RUN")
    build.run(command, VENV=str(venv))
    return Image(target, venv)


def test_an_image_holds_its_own_packages_only(image: Image, record_property: object) -> None:
    present = {module for module in ABSENT[image.target] | FOR_TESTS if image.has(module)}
    assert not present
    assert image.has("services") and image.has("microex")
    size = sum(path.lstat().st_size for path in image.venv.rglob("*") if path.is_file())
    assert callable(record_property)
    record_property(FIGURE, f"environment of {image.target}: {size / 1e6:,.0f} MB")


@pytest.fixture
def container(tmp_path: Path) -> list[str]:
    """What to put before a command to run it as in a container; nothing, and a warning, where that is not possible."""
    (tmp_path / "tmp").mkdir()
    try:
        return confined(tmp_path / "tmp")
    except Impossible as why:
        warnings.warn(f"images are tried with a root that is not read-only: {why}", stacklevel=1)
        return []


def test_a_container_may_write_to_one_folder_only(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    try:
        prefix = confined(tmp_path / "tmp")
    except Impossible as why:
        pytest.skip(f"unshare: {why}")
    words = f"id -u; touch here && echo wrote; touch {tmp_path}/there || echo refused"
    done = subprocess.run([*prefix, "sh", "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10001", "wrote", "refused"]


def environment(target: str) -> dict[str, str]:
    """The variables of an image, PATH aside."""
    stages = dockerfile.lineage(STAGES, target)
    words = [word for stage in stages for line in stage.all("ENV") for word in line.split()]
    return {name: value for name, value in (word.split("=", 1) for word in words) if name != "PATH"}


def test_an_image_starts_serves_and_ends(
    image: Image, container: list[str], talking_face: Path, installation: Installation, tmp_path: Path
) -> None:
    """As nobody on a read-only root, its command answers /readyz on a real Kafka, and SIGTERM ends it with code 0."""
    variables = environment(image.target) | {"HOME": str(tmp_path / "tmp"), "TMPDIR": str(tmp_path / "tmp")}
    command = [*container, str(image.venv / "bin" / "microex"), *dockerfile.command(STAGES[image.target])]
    if image.target == "cli":
        for words in (command, *([*command[:-1], name, "--help"] for name in OF_OPERATORS)):
            done = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True, check=False)
            assert done.returncode == 0 and "Usage: microex" in done.stdout, done.stderr
        return
    if image.target == "ingest":
        (tmp_path / "film.mp4").symlink_to(talking_face)
        cameras = {"cameras": [{"session": "s", "camera": f"c{i}", "source": "film.mp4"} for i in range(2)]}
        (tmp_path / "cameras.yaml").write_text(yaml.safe_dump(cameras))
        command[-1] = str(tmp_path / "cameras.yaml")
    # Ports that are free, and no GPU.
    here = {"MICROEX_HTTP_PORT": "0", "MICROEX_GRPC_PORT": "0", "MICROEX_DEVICE": "cpu"}
    with Service(command=command, env=variables | installation.env | here) as service:
        service.until(lambda: service.page("/readyz") == 200)
        assert service.page("/healthz") == 200
        if image.target.startswith("recognizer"):
            assert service.total("microex_recognizer_model_info", trained="true") == 1, "the weights are in the package"
        assert service.stop() == 0, service.log()


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_nobody_from_a_pinned_base(target: str) -> None:
    stages = dockerfile.lineage(STAGES, target)
    assert ":" in stages[0].base and not stages[0].base.endswith(":latest")
    users = [user for stage in stages for user in stage.all("USER")]
    uid = users[-1].split(":")[0]
    assert uid.isdigit() and int(uid) >= 10_000
    assert stages[0].all("ENTRYPOINT") == ['["microex"]'], "in a shell, SIGTERM would not reach the process"
    [labels] = stages[0].all("LABEL")
    for name in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in labels


@pytest.mark.parametrize("target", TARGETS)
def test_no_build_tool_is_left(target: str) -> None:
    """What is installed with apt are libraries; only the environment comes from the build."""
    stages = dockerfile.lineage(STAGES, target)
    for run in (run for stage in stages for run in stage.all("RUN")):
        packages = run.split("--no-install-recommends")[1].split("&&")[0].split()
        assert all(name.startswith("lib") for name in packages)
        assert "rm -rf /var/lib/apt/lists/*" in run
    assert "pip uninstall --yes pip setuptools wheel" in stages[0].all("RUN")[0]
    copies = [copy for stage in stages for copy in stage.all("COPY")]
    assert copies == [f"--from=build-{target} /opt/microex /opt/microex"]


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    copied = {source for rest in STAGES["build"].all("COPY") for source in rest.split()[:-1]}
    assert "*" in ignore and let_in == copied
