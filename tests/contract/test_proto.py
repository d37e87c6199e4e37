"""The messages: generated code is that of the .proto files, they are clean, and they broke no promise."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent


def buf(*args: str) -> None:
    """Run buf; its own words are the failure's."""
    result = subprocess.run([str(BIN / "buf"), *args], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def generated(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "microex" / "v1").glob("*_pb2*.py*")}


def test_generated_code_matches_the_messages(tmp_path: Path) -> None:
    subprocess.run(
        ["bash", str(ROOT / "scripts" / "proto.sh"), "proto", str(tmp_path)],
        env={"VENV": str(BIN.parent), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    fresh, committed = generated(tmp_path), generated(ROOT / "proto")
    assert fresh.keys() == committed.keys() != set()
    stale = [name for name in fresh if fresh[name] != committed[name]]
    assert not stale, "run `make proto`"


def test_messages_are_clean_and_every_field_is_documented() -> None:
    buf("lint")


def test_messages_still_keep_what_the_committed_image_promises() -> None:
    buf("breaking", "--against", "proto/image.binpb")


def test_a_broken_promise_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    stream = tmp_path / "proto" / "microex" / "v1" / "stream.proto"
    stream.write_text(stream.read_text().replace("string camera = 2;", "string camera = 9;"))
    check = [str(BIN / "buf"), "breaking", "--against", str(ROOT / "proto" / "image.binpb")]
    result = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 100 and "camera" in result.stdout, result.stdout + result.stderr
