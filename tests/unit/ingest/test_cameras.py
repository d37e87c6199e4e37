"""cameras.yaml: what is accepted, and that every mistake is named with its file and field and without the source."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Fatal
from services.ingest.cameras import CameraConfig, read_cameras, share


def write(folder: Path, text: str) -> Path:
    path = folder / "cameras.yaml"
    path.write_text(text)
    return path


def test_every_kind_of_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "s3cret")
    (tmp_path / "stills").mkdir()
    left, web, video, stills = read_cameras(write(tmp_path, """
cameras:
  - {session: 7, camera: left, source: "rtsp://viewer:${CAMERA_PASSWORD}@host/stream"}
  - {session: 7, camera: above, source: webcam:2}
  - {session: 7, camera: video, source: a.mp4}
  - {session: 8, camera: video, source: stills, fps: 25}
"""))  # fmt: skip
    assert left.url == "rtsp://viewer:s3cret@host/stream" and left.live and left.session == "7"
    assert web.webcam == 2 and web.live
    assert video.path == tmp_path / "a.mp4" and not video.live
    assert stills.path == tmp_path / "stills" and stills.fps == 25
    assert "s3cret" not in repr(left) + str(left)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cameras: [{session: s, camera: c, source: a.mp4, colour: red}]", r"cameras\.0\.colour"),
        ("cameras: [{session: s, source: a.mp4}]", r"cameras\.0\.camera"),
        ("cameras: [{session: a/b, camera: c, source: a.mp4}]", r"cameras\.0\.session.*'/'"),
        ("cameras: [{session: s, camera: c, source: '${NOWHERE_SET}/x'}]", r"cameras\.0\.source.*NOWHERE_SET"),
        ("cameras: [{session: s, camera: c, source: 'ftp://u:s3cret@h/x'}]", "rtsp"),
        ("cameras: [{session: s, camera: c, source: 'rtsp://u:s3cret@h/x', fps: 25}]", "fps"),
        ("cameras: [{session: s, camera: c, source: a.mp4, fps: 25}]", "camera c of session s: fps is given"),
        ("cameras: [{session: s, camera: c, source: ., fps: 0}]", r"cameras\.0\.fps"),
        ("cameras: [{session: s, camera: c, source: .}]", "camera c of session s: a folder of images needs fps"),
        ("cameras: []", "cameras"),
        ("cameras: [{session: s, camera: c, source: a.mp4}, {session: s, camera: c, source: b.mp4}]", "same name"),
        ("cameras: [", "not YAML: see line"),
        ("just text", "the file"),
        ("", "the file needs a list of cameras"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Fatal, match=words) as caught:
        read_cameras(write(tmp_path, text))
    assert "cameras.yaml" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"missing\.yaml cannot be read"):
        read_cameras(tmp_path / "missing.yaml")


@given(st.integers(1, 30), st.integers(1, 30))
def test_shares_hold_every_camera_once(cameras: int, replicas: int) -> None:
    replicas = min(cameras, replicas)
    names = [CameraConfig(session="s", camera=str(i), source="webcam:0") for i in range(cameras)]
    shares = [share(names, ordinal, replicas) for ordinal in range(replicas)]
    assert sorted(c.camera for one in shares for c in one) == sorted(c.camera for c in names)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    later = [share([*names, names[0]], ordinal, replicas) for ordinal in range(replicas)]
    assert all(new[: len(old)] == old for old, new in zip(shares, later, strict=True)), "adding one moves no other"


@pytest.mark.parametrize(("ordinal", "replicas"), [(2, 2), (1, 2)])
def test_a_share_that_is_nobodys_is_refused(ordinal: int, replicas: int) -> None:
    one = CameraConfig(session="s", camera="c", source="webcam:0")
    with pytest.raises(Fatal, match="no camera is left"):
        share([one], ordinal, replicas)
