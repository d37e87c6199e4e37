"""One Kafka for all test processes of a run, which lives as long as any of them uses it.

Who uses it holds a shared lock on a file. The first one starts a keeper, which starts Kafka and then waits for that
lock alone: the kernel hands it over when the last user has let go or died, however it died, and Kafka goes with it.
"""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.broker import ROOT, Broker


@contextmanager
def shared_kafka(folder: Path) -> Iterator[str]:
    """host:port of the Kafka that everybody shares who names the same folder."""
    with (folder / "kafka.users").open("w") as users:
        with (folder / "kafka.start").open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            address = folder / "kafka.address"
            if not address.exists():
                _start_keeper(folder)
        yield address.read_text()


def _start_keeper(folder: Path) -> None:
    command = [sys.executable, "-m", __name__, str(folder)]
    keeper = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert keeper.stdout is not None
    if keeper.stdout.readline() != "ready\n":
        raise RuntimeError("Kafka did not start for the tests; the reason is above")


def keep(folder: Path) -> None:
    """Run Kafka until nobody uses it any more."""
    with Broker() as broker, (folder / "kafka.users").open() as users:
        address = folder / "kafka.address"
        address.write_text(broker.bootstrap)
        print("ready", flush=True)
        fcntl.flock(users, fcntl.LOCK_EX)
        address.unlink()


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
