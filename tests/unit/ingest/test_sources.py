"""Files: true times, rotation, grey, odd sizes; what is broken is said in one line and costs nothing else."""

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from services.common.errors import Poison
from services.ingest.sources import open_folder, open_video
from tests.support.ffmpeg import FFMPEG


@pytest.fixture(scope="module")
def derive(talking_face: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Makes a video from two seconds of the talking face: derive(name, ffmpeg's arguments for writing, for reading)."""
    folder = tmp_path_factory.mktemp("derived")

    def make(name: str, *arguments: str, reading: tuple[str, ...] = ()) -> Path:
        command = [FFMPEG, "-loglevel", "error", "-y", "-t", "2", *reading, "-i", str(talking_face), *arguments]
        subprocess.run([*command, str(folder / name)], check=True, stdin=subprocess.DEVNULL)
        return folder / name

    return make


FAST = ("-c:v", "libx264", "-preset", "ultrafast")


def read(path: Path) -> list[tuple[int, int, tuple[int, ...]]]:
    with open_video(path) as frames:
        return [(c.index, c.time_us, c.picture.shape) for c in frames]


def test_time_is_the_files_own(talking_face: Path) -> None:
    frames = read(talking_face)
    assert [index for index, _, _ in frames] == list(range(300))
    assert [time for _, time, _ in frames[:4]] == [0, 33_333, 66_667, 100_000]


def test_variable_frame_rate(derive) -> None:  # type: ignore[no-untyped-def]
    kept = [n for n in range(60) if n % 3 == 0 or n % 7 == 0]
    path = derive("vfr.mp4", "-vf", r"select=not(mod(n\,3))+not(mod(n\,7))", "-fps_mode", "vfr", *FAST)
    assert [time for _, time, _ in read(path)] == [round(n * 1e6 / 30) for n in kept]


@pytest.mark.parametrize(
    ("name", "arguments", "count", "shape"),
    [
        ("grey.mp4", ("-pix_fmt", "gray", *FAST), 60, (576, 720, 3)),
        ("odd.mp4", ("-vf", "scale=353:287", "-pix_fmt", "yuv444p", *FAST), 60, (287, 353, 3)),
        ("fast.mp4", ("-vf", "setpts=PTS*30/200,fps=200", *FAST), 60, (576, 720, 3)),
        ("plain.mkv", FAST, 60, (576, 720, 3)),
        ("plain.avi", ("-c:v", "mjpeg"), 60, (576, 720, 3)),
    ],
)
def test_all_kinds_of_video(derive, name, arguments, count, shape) -> None:  # type: ignore[no-untyped-def]
    frames = read(derive(name, *arguments))
    assert len(frames) == count
    assert {picture for _, _, picture in frames} == {shape}
    assert (np.diff([time for _, time, _ in frames]) > 0).all()


def test_a_rotation_flag_is_honoured(derive) -> None:  # type: ignore[no-untyped-def]
    frames = read(derive("turned.mp4", "-c", "copy", reading=("-display_rotation", "90")))
    assert {picture for _, _, picture in frames} == {(720, 576, 3)}


@pytest.mark.parametrize("name", ["short.mp4", "short.mkv", "short.avi"])
def test_a_video_that_was_cut_short_gives_what_it_has_and_then_says_so(derive, name) -> None:  # type: ignore[no-untyped-def]
    whole = derive(name, *FAST, *(("-movflags", "+faststart") if name.endswith("mp4") else ()))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    seen = 0
    with open_video(whole) as frames, pytest.raises(Poison, match="cut short"):
        for captured in frames:
            assert captured.index == seen
            seen += 1
    assert 20 < seen < 60


def test_frames_that_cannot_be_decoded_leave_a_gap_in_the_index(derive) -> None:  # type: ignore[no-untyped-def]
    path = derive("broken.avi", "-c:v", "mjpeg")
    content = bytearray(path.read_bytes())
    starts = [
        at for at in range(len(content)) if content[at : at + 4] == b"00dc" and content[at + 8 : at + 10] == b"\xff\xd8"
    ]
    for number in (10, 11, 30):
        content[starts[number] + 8 : starts[number] + 600] = bytes(592)
    path.write_bytes(content)
    assert [index for index, _, _ in read(path)] == [n for n in range(60) if n not in (10, 11, 30)]


def test_what_is_no_video_is_said_in_one_line(tmp_path: Path, talking_face: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    half = talking_face.read_bytes()[: talking_face.stat().st_size // 2]
    (tmp_path / "half.mp4").write_bytes(half)  # its table of frames is at the end, so nothing can be read
    for path, words in (
        (tmp_path / "text.mp4", "not a video that can be read"),
        (tmp_path / "empty.mp4", "not a video that can be read"),
        (tmp_path / "half.mp4", "ends before its table of frames"),
        (tmp_path / "missing.mp4", "no such file"),
        (tmp_path, "not a file"),
    ):
        with pytest.raises(Poison, match=words) as caught:
            open_video(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_bare_stream_without_times_says_so(derive) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Poison, match="carry no times"):
        read(derive("bare.h264", *FAST))


def test_a_name_with_a_colon_is_a_file(tmp_path: Path, talking_face: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rtsp:a.mp4").symlink_to(talking_face)
    monkeypatch.chdir(tmp_path)
    with open_video(Path("rtsp:a.mp4")) as frames:
        assert next(iter(frames)).index == 0


def test_a_folder_is_read_in_natural_order_with_the_given_rate(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), np.full((40, 30), number, np.uint8))
    (tmp_path / "frame3.jpg").write_text("no image")
    (tmp_path / "notes.txt").write_text("no frame")
    with open_folder(tmp_path, fps=25) as frames:
        seen = [(c.index, c.time_us, int(c.picture[0, 0, 0]), c.picture.shape) for c in frames]
    assert seen == [(0, 0, 1, (40, 30, 3)), (1, 40_000, 2, (40, 30, 3)), (3, 120_000, 10, (40, 30, 3))]


def test_a_folder_without_images_is_said_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Poison):
            open_folder(path, fps=25)
