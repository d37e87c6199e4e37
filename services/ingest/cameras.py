"""cameras.yaml: which sources belong to which session, checked before anything starts.

cameras:
  - session: interview-7
    camera: left
    source: rtsp://viewer:${LEFT_PASSWORD}@10.0.0.7/stream
  - session: interview-7
    camera: above
    source: webcam:0
  - {session: pilot, camera: stills, source: stills/, fps: 25}
"""

import os
import re
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from services.common.errors import Fatal
from services.common.ids import check_name

_URL: Final = re.compile(r"(rtsps?|https?)://.+", re.IGNORECASE)
_WEBCAM: Final = re.compile(r"webcam:(\d+)")
_VARIABLE: Final = re.compile(r"\$\{(\w*)\}")


def _name(value: str) -> str:
    try:
        return check_name("name", value)
    except Fatal as error:
        raise ValueError(error.text) from error


def _expanded(value: SecretStr) -> SecretStr:
    def look_up(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ValueError(f"the environment has no variable {match[1]}")
        return os.environ[match[1]]

    return SecretStr(_VARIABLE.sub(look_up, value.get_secret_value()))


Name = Annotated[str, AfterValidator(_name)]


class CameraConfig(BaseModel):
    """One source of one session."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, use_attribute_docstrings=True)

    session: Name
    """The session, whose consent record allows it."""
    camera: Name
    """Name of this source in the session."""
    source: Annotated[SecretStr, AfterValidator(_expanded)]
    """A video file or a folder of images (relative to cameras.yaml), an rtsp://, rtsps://, http:// or https:// address,
    or webcam:NUMBER. ${VARIABLE} is taken from the environment, so that no password stands in the file."""
    fps: float | None = Field(None, gt=0, le=10_000)
    """Images a second of stream time; for a folder of images, and only for that."""

    @property
    def url(self) -> str | None:
        """The address when it is one."""
        text = self.source.get_secret_value()
        return text if _URL.fullmatch(text) else None

    @property
    def webcam(self) -> int | None:
        """The webcam's number when it is one."""
        found = _WEBCAM.fullmatch(self.source.get_secret_value())
        return int(found[1]) if found else None

    @property
    def live(self) -> bool:
        """Whether it has no end of its own."""
        return self.url is not None or self.webcam is not None

    @property
    def path(self) -> Path:
        """The file or folder when it is one."""
        return Path(self.source.get_secret_value())

    @model_validator(mode="after")
    def _no_idle_fps(self) -> "CameraConfig":
        if self.live and self.fps is not None:
            raise ValueError("fps belongs to a folder of images; a live source has its own times")
        if "://" in self.source.get_secret_value() and self.url is None:
            raise ValueError("source: only rtsp, rtsps, http and https addresses are known")
        return self

    def located(self, folder: Path) -> "CameraConfig":
        """The same with a path that holds anywhere, and checked: a folder needs fps, a file has none.

        Raises ValueError.
        """
        if self.live:
            return self
        path = folder / self.path
        if path.is_dir() != (self.fps is not None):
            wrong = "a folder of images needs fps" if path.is_dir() else "fps is given, but its source is no folder"
            raise ValueError(f"camera {self.camera} of session {self.session}: {wrong}")
        return self.model_copy(update={"source": SecretStr(str(path))})


class _Cameras(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cameras: list[CameraConfig] = Field(min_length=1)


def read_cameras(path: Path) -> list[CameraConfig]:
    """The cameras of one file. Raises Fatal, naming file and field, for anything that is wrong; never shows a source,
    because it may hold a password."""
    try:
        content = yaml.safe_load(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("the file needs a list of cameras under `cameras:`")
        cameras = [camera.located(path.parent) for camera in _Cameras.model_validate(content).cameras]
    except OSError as error:
        raise Fatal(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise Fatal(f"{path} is not YAML" + (f": see line {mark.line + 1}" if mark else "")) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Fatal(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
    except ValueError as error:
        raise Fatal(f"{path}: {error}") from error
    names = [(camera.session, camera.camera) for camera in cameras]
    for name in names:
        if names.count(name) > 1:
            raise Fatal(f"{path}: two cameras have the same name", session=name[0], camera=name[1])
    return cameras


def share(cameras: list[CameraConfig], ordinal: int, replicas: int) -> list[CameraConfig]:
    """The cameras that ingest number `ordinal` of `replicas` runs: every one of the file is in exactly one share, and
    adding one at its end moves no other. Raises Fatal for a share that nobody has or that is empty."""
    mine = cameras[ordinal::replicas]
    if ordinal >= replicas or not mine:
        raise Fatal("no camera is left for this ingest", ordinal=ordinal, replicas=replicas, cameras=len(cameras))
    return mine
