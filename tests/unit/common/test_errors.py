"""Errors: one line that says all, and exit codes that a shell can tell apart."""

import click
import pytest

from services import cli
from services.common.errors import Fatal, MicroexError, Poison, Retryable


def test_text_comes_first_and_context_after_it() -> None:
    error = Poison("bytes that are no such message", want="FaceFrame", size=3)
    assert str(error) == "bytes that are no such message (want='FaceFrame', size=3)"
    assert str(Poison("empty record")) == "empty record"


def test_exit_codes_differ() -> None:
    codes = [kind.exit_code for kind in (MicroexError, Retryable, Poison, Fatal)]
    assert len(set(codes)) == len(codes) and 0 not in codes


def test_a_command_that_fails_says_one_line_and_exits_with_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def failing() -> None:
        raise Retryable("no broker answers", brokers="127.0.0.1:1")

    monkeypatch.setattr(cli.Commands, "get_command", lambda *_: failing)
    with pytest.raises(SystemExit) as caught:
        cli.main(["failing"])
    assert caught.value.code == Retryable.exit_code
    assert capsys.readouterr().err == "microex: no broker answers (brokers='127.0.0.1:1')\n"
