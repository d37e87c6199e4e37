"""The ffmpeg command, out of a package: tests make variants of real videos with it."""

from typing import Final

import imageio_ffmpeg

FFMPEG: Final = imageio_ffmpeg.get_ffmpeg_exe()
