"""`microex …`: one command line for everything; a service is imported only when it is asked for."""

import importlib
import sys
from importlib.metadata import version
from typing import Any, Final

import click

from services.common.errors import MicroexError

COMMANDS: Final = {
    "analyze": ("services.analyze.cli", "Find expressions in video files; no broker needed."),
    "consent": ("services.admin", "Record and withdraw consent for sessions."),
    "evaluate": ("services.lab.cli", "Score recognition or spotting on labelled data."),
    "export": ("services.analyze.cli", "Write a session's results from Kafka to files."),
    "forget": ("services.admin", "Delete a session's windows, graphs and cached answers."),
    "ingest": ("services.ingest.cli", "Publish the faces that cameras see to Kafka."),
    "model-info": ("services.recognizer.cli", "Print parameters, operations and latency of each part of STAG."),
    "recognize": ("services.recognizer.cli", "Ask a running recognizer about stored windows."),
    "recognizer": ("services.recognizer.cli", "Run STAG over gRPC and on Kafka's apex windows."),
    "spotter": ("services.spotter.cli", "Find expressions in the faces on Kafka."),
    "synth": ("services.lab.synth.cli", "Make labelled videos, clips and flow images from still faces."),
    "topics": ("services.admin", "Create and list the Kafka topics."),
    "train": ("services.lab.cli", "Train STAG on generated clips."),
}
"""Name of a command to the module that defines it, and its line in the overview."""

EXTRAS: Final = {
    "analyze": "analyze",
    "evaluate": "lab",
    "export": "export",
    "forget": "cli",
    "ingest": "ingest",
    "model-info": "recognizer",
    "recognize": "cli",
    "recognizer": "recognizer",
    "spotter": "spotter",
    "synth": "lab",
    "train": "lab",
}
"""Which extra of the package a command needs."""


class Commands(click.Group):
    """Knows the commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(COMMANDS[name][0])
        except ModuleNotFoundError as error:
            if name not in EXTRAS or (error.name or "").partition(".")[0] in ("services", "microex"):
                raise
            raise click.ClickException(
                f"`microex {name}` needs the package {error.name}: pip install '.[{EXTRAS[name]}]' in a checkout"
            ) from error
        command = getattr(module, name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("microex"), prog_name="microex")
def microex() -> None:
    """Find facial micro-expressions and explain them as graphs of action units.

    Begin with a recording of people who agreed to this: microex analyze VIDEO --out DIR.
    A setting can also be given as a variable MICROEX_…, where `microex COMMAND --help` names one.
    """


def main(argv: list[str] | None = None) -> Any:
    """Run a command; an error of ours is one line on standard error and its own exit code."""
    try:
        return microex.main(args=argv, standalone_mode=True)
    except MicroexError as error:
        click.echo(f"microex: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
