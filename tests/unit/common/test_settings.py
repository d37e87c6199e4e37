"""Settings: where values come from, and what a wrong one says."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from services.common.errors import Fatal
from services.common.settings import ALL_SETTINGS, KafkaSettings, RecognizerSettings, flags, load


def test_flag_beats_environment_beats_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(RecognizerSettings).batch_max == 32
    monkeypatch.setenv("MICROEX_BATCH_MAX", "7")
    assert load(RecognizerSettings).batch_max == 7
    assert load(RecognizerSettings, batch_max="9").batch_max == 9
    assert load(RecognizerSettings, batch_max=None).batch_max == 7


def test_misspelt_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROEX_BATCH_MAXX", "7")
    with pytest.raises(Fatal, match=r"MICROEX_BATCH_MAXX; did you mean MICROEX_BATCH_MAX\?"):
        load(RecognizerSettings)


def test_unknown_variable_far_from_any_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROEX_ZZZZZZZZZ", "7")
    with pytest.raises(Fatal, match=r"MICROEX_ZZZZZZZZZ$"):
        load(KafkaSettings)


def test_one_service_accepts_the_variables_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROEX_BATCH_MAX", "7")
    monkeypatch.setenv("MICROEX_SPOTTER_THREADS", "2")
    load(KafkaSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_max", "many"), ("batch_max", "0"), ("grpc_port", "65536"), ("device", "tpu"), ("topic_prefix", "a b")],
)
def test_bad_value_names_variable_and_flag(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MICROEX_{name.upper()}", value)
    with pytest.raises(Fatal) as caught:
        load(RecognizerSettings)
    assert f"MICROEX_{name.upper()}" in str(caught.value)
    assert f"--{name.replace('_', '-')}" in str(caught.value)


def test_secrets_are_not_shown() -> None:
    settings = load(RecognizerSettings, redis_url="redis://:hunter2@cache:6379/0", kafka_sasl_password="hunter2")
    assert "hunter2" not in repr(settings)


def test_every_setting_becomes_a_flag_that_is_documented() -> None:
    @click.command()
    @flags(RecognizerSettings)
    def command(**options: str | None) -> None:
        click.echo(load(RecognizerSettings, **options).batch_max)

    text = CliRunner().invoke(command, ["--help"], terminal_width=400).output
    for name, field in RecognizerSettings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in text and f"MICROEX_{name.upper()}" in text
        assert field.description, f"{name} has no docstring"
    assert CliRunner().invoke(command, ["--batch-max", "5"]).output == "5\n"


def test_settings_of_the_same_name_mean_the_same_everywhere() -> None:
    meanings: dict[str, set[str]] = {}
    for cls in ALL_SETTINGS:
        for name, field in cls.model_fields.items():
            meanings.setdefault(name, set()).add(repr(field))
    assert not {name: seen for name, seen in meanings.items() if len(seen) > 1}


def test_paths_are_paths(tmp_path: Path) -> None:
    assert load(RecognizerSettings, model_weights=str(tmp_path)).model_weights == tmp_path
