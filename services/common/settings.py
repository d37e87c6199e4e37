"""Every setting of every service: one class each, read from `MICROEX_…` variables and overridden by flags.

A variable that starts with `MICROEX_` and that no service knows is refused, with the nearest name: a misspelt setting
that is silently ignored costs a day.
"""

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.errors import Fatal

PREFIX = "MICROEX_"


class LogSettings(BaseSettings):
    """What every command has."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", use_attribute_docstrings=True)

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log line that is written."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """json for machines, console for people; auto: console on a terminal, json elsewhere."""


class KafkaSettings(LogSettings):
    """What everything that talks to Kafka has."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    """Brokers to begin with, host:port separated by commas."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How to talk to the brokers."""
    kafka_ssl_ca_file: Path | None = None
    """Certificate authority that signed the brokers' certificates, PEM."""
    kafka_ssl_cert_file: Path | None = None
    """This client's certificate, PEM."""
    kafka_ssl_key_file: Path | None = None
    """Key of this client's certificate, PEM."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How to log in, where the protocol has SASL."""
    kafka_sasl_username: str | None = None
    """User to log in as."""
    kafka_sasl_password: SecretStr | None = None
    """Password to log in with; better given by environment than by flag."""
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$")
    """Put before the name of every topic and group, so that several installations can share a cluster."""


class ServiceSettings(KafkaSettings):
    """What every long-running service has."""

    http_host: str = "127.0.0.1"
    """Address that /metrics, /healthz and /readyz listen on; 0.0.0.0 in a container."""
    http_port: int = Field(9464, ge=0, le=65535)
    """Port of /metrics, /healthz and /readyz; 0 takes a free one and logs it."""


class LandmarkSettings(LogSettings):
    """What finding faces needs."""

    landmark_model: Path | None = None
    """MediaPipe face_landmarker.task to use instead of the one that ships with the package ogm-vision."""
    min_eye_distance_px: float = Field(40.0, gt=0)
    """Faces whose outer eye corners are nearer than this, in pixels of the picture, are dropped as "small"."""
    max_yaw_deg: float = Field(35.0, gt=0, le=90)
    """Faces turned aside by more are dropped as "pose"."""
    max_pitch_deg: float = Field(30.0, gt=0, le=90)
    """Faces turned up or down by more are dropped as "pose"."""
    min_sharpness: float = Field(0.01, ge=0)
    """Faces less sharp (see Quality in docs/outputs.md) are dropped as "blur"."""


class IngestSettings(ServiceSettings, LandmarkSettings):
    """`microex ingest`."""

    queue_frames: int = Field(24, ge=2)
    """Frames held between camera and landmarker; a live source that falls behind drops the oldest, a file waits."""
    producer_buffer_mb: int = Field(64, ge=1)
    """Memory for frames that Kafka has not yet acknowledged; when full, sending waits."""
    ingest_replicas: int = Field(1, ge=1)
    """How many ingests share the file of cameras; each takes its own part of it."""
    ingest_ordinal: int = Field(0, ge=0)
    """Which of them this is, from 0."""


class SpotterSettings(ServiceSettings):
    """`microex spotter`."""

    spotter_group: str = "microex-spotter"
    """Consumer group; spotters of one group share the streams."""
    spotter_threads: int = Field(2, ge=1)
    """Threads for optical flow, off the event loop."""
    spotter_buffer_frames: int = Field(512, ge=1)
    """Messages held in front of the detector."""
    stream_silence_s: float = Field(60.0, gt=0)
    """A stream without a message for this long, wall time, is let go, and counted as silent."""
    spotter_data_dir: Path | None = None
    """Where Faust may write; default: a temporary folder."""


class ModelSettings(LogSettings):
    """What running STAG needs."""

    model_weights: Path | None = None
    """Weights (safetensors) to use instead of those that ship with the package."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU when there is one."""
    torch_threads: int = Field(0, ge=0)
    """Threads of one forward pass on the CPU; 0 leaves it to torch."""


class RecognizerSettings(ServiceSettings, ModelSettings):
    """`microex recognizer`."""

    recognizer_group: str = "microex-recognizer"
    """Consumer group; recognizers of one group share the windows."""
    grpc_host: str = "127.0.0.1"
    """Address that gRPC listens on; 0.0.0.0 in a container."""
    grpc_port: int = Field(50051, ge=0, le=65535)
    """Port of gRPC; 0 takes a free one and logs it."""
    grpc_cert_file: Path | None = None
    """Certificate that gRPC shows its callers, PEM; without one it speaks plain text. Read anew when it changes."""
    grpc_key_file: Path | None = None
    """Key of that certificate, PEM."""
    grpc_client_ca_file: Path | None = None
    """Certificate authority, PEM; callers need a certificate that it signed."""
    batch_max: int = Field(32, ge=1, le=1024)
    """Windows in one batch at the most."""
    batch_delay_ms: float = Field(5.0, ge=0)
    """How long a batch waits to fill after its first window."""
    queue_max: int = Field(256, ge=1)
    """Windows waiting at the most; a caller beyond is answered RESOURCE_EXHAUSTED."""
    redis_url: SecretStr | None = None
    """Cache of answers, such as redis://cache:6379/0; without one nothing is cached."""
    cache_ttl_s: int = Field(86_400, ge=1)
    """How long an answer stays in the cache."""
    consume: bool = True
    """Whether to read apex windows from Kafka besides answering gRPC."""


class AnalyzeSettings(LandmarkSettings, ModelSettings):
    """`microex analyze`."""


ALL_SETTINGS: tuple[type[LogSettings], ...] = (IngestSettings, SpotterSettings, RecognizerSettings)

S = TypeVar("S", bound=LogSettings)


def load(cls: type[S], **flags: Any) -> S:
    """Settings from flags that are not None, else the environment, else defaults.

    Raises Fatal, naming the setting and what it takes, for a bad value or an unknown `MICROEX_…` variable.
    """
    refuse_unknown()
    try:
        return cls(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else cls.__name__
        raise Fatal(f"setting {PREFIX}{name.upper()} (flag --{name.replace('_', '-')}): {first['msg']}") from error


def refuse_unknown() -> None:
    """Raises Fatal for a `MICROEX_…` variable that no service knows."""
    known = {PREFIX + name.upper() for cls in ALL_SETTINGS for name in cls.model_fields}
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, 1)
            raise Fatal(f"no microex service knows the setting {name}" + (f"; did you mean {near[0]}?" if near else ""))


F = TypeVar("F", bound=Callable[..., Any])


def flags(cls: type[LogSettings]) -> Callable[[F], F]:
    """Decorator: one click option a setting, with the setting's own docstring as help and its variable named."""

    def decorate(function: F) -> F:
        for name, field in reversed(cls.model_fields.items()):
            default = "" if field.default is None else f"default: {field.default}; "
            help_text = f"{field.description} [{default}{PREFIX}{name.upper()}]"
            function = click.option(f"--{name.replace('_', '-')}", name, default=None, help=help_text)(function)
        return function

    return decorate
