"""A local Apache Kafka: one node on loopback, from its Maven artifacts, on the machine's Java. No Docker, no ZooKeeper.

python -m scripts.broker start|stop|status    the one that `make kafka` starts, on 127.0.0.1:9092, data in .cache
with Broker() as broker: broker.bootstrap     one for a test: a free port, data thrown away, gone when the test is
"""

import fcntl
import hashlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RECIPE: Final = ROOT / "scripts" / "kafka"
JARS: Final = ROOT / ".cache" / f"kafka-jars-{hashlib.sha256((RECIPE / 'pom.xml').read_bytes()).hexdigest()[:8]}"
LOCAL: Final = ROOT / ".cache" / "kafka"
LOCAL_PORT: Final = 9092
START_S: Final = 90.0
STOP_S: Final = 20.0


class BrokerError(RuntimeError):
    """Kafka could not be fetched, started or stopped; the text says what to do."""


def fetch() -> None:
    """Download Kafka's jars into .cache, checksums verified; nothing to do when they are there."""
    JARS.parent.mkdir(exist_ok=True)
    with JARS.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process downloads, the others wait for it
        if not JARS.exists():
            half = JARS.with_suffix(".part")
            shutil.rmtree(half, ignore_errors=True)
            _download(half)
            half.rename(JARS)


def _download(folder: Path) -> None:
    command = ["mvn", "--quiet", "--batch-mode", "--strict-checksums", f"--file={RECIPE / 'pom.xml'}",
               f"-Dmaven.repo.local={ROOT / '.cache' / 'm2'}",
               "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies",
               f"-DoutputDirectory={folder}"]  # fmt: skip
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = "Maven is missing" if isinstance(error, OSError) else "Maven's own words are above"
        raise BrokerError(
            f"Kafka's jars could not be fetched: {reason}. Once that is mended, run this again"
        ) from error


class Broker:
    """One Kafka node, reachable at `bootstrap` between `start` and `stop`; a context manager does both.

    port: 0 takes a free one. folder: keeps data, log and properties; None: a temporary one, removed by `stop`.
    stays: outlives the process that started it; otherwise the kernel kills it when that process dies, however it dies.
    properties: more of Kafka's, which override those of the recipe; $port and $controller are filled in.
    """

    def __init__(self, port: int = 0, folder: Path | None = None, stays: bool = False, properties: str = "") -> None:
        self._properties = properties
        self._wanted_port = port
        self._kept = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="microex-kafka-"))
        self._stays = stays
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """host:port for clients to begin with."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when clients can connect. Raises BrokerError, with the end of Kafka's log, when they cannot."""
        tries = 1 if self._wanted_port else 3  # a free port may be taken by someone else before Kafka has it
        for left in reversed(range(tries)):
            try:
                self._start_once()
                self._wanted_port = self.port  # clients find it again after `kill` and `start`
                return
            except BrokerError:
                self.kill()
                if not left:
                    raise

    def stop(self) -> None:
        """Ends it in good order, or by force when that takes long; removes a temporary folder."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None
        if not self._kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """Ends it as a crash would; data stay, and `start` goes on with them."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._kept:
            self.kill()  # nobody will read its data again
        self.stop()

    def _start_once(self) -> None:
        fetch()
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        self.port, controller = self._wanted_port or free_port(), free_port()
        if not _can_bind(self.port):
            raise BrokerError(f"port {self.port} of 127.0.0.1 is taken; end what listens there first")
        properties = self.folder / "server.properties"
        template = Template((RECIPE / "server.properties").read_text() + self._properties)
        properties.write_text(template.substitute(port=self.port, controller=controller, data=self.folder / "data"))
        log = self.folder / "kafka.log"
        with log.open("wb") as output:
            if not (self.folder / "data" / "meta.properties").exists():
                cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
                command = _java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", properties)
                if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode:
                    raise BrokerError(f"Kafka could not format {self.folder / 'data'}:\n{_tail(log)}")
            command = _java("kafka.Kafka", properties)
            if not self._stays:
                command = ["setpriv", "--pdeathsig", "KILL", *command]
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._await_listening(log)

    def _await_listening(self, log: Path) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_S
        while not _answers(self.port):
            try:
                self.process.wait(0.1)  # the pause between two tries ends early when Kafka does
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            raise BrokerError(f"Kafka did not come up on {self.bootstrap}:\n{_tail(log)}")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _can_bind(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _java(main: str, *args: str | Path) -> list[str]:
    java = shutil.which("java")
    if java is None:
        raise BrokerError("Kafka needs Java 17 or newer: apt-get install default-jre-headless")
    return [java, "-Xmx512m", "-cp", f"{JARS}/*", main, *map(str, args)]


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def local_pid() -> int | None:
    """Process id of the broker that `start` started, None when it does not run."""
    try:
        pid = int((LOCAL / "pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return None
    return pid if str(LOCAL).encode() in command else None  # else the id is another process's by now


def start() -> str:
    """Start the local broker; no harm when it runs."""
    if local_pid() is not None:
        return f"Kafka runs already on 127.0.0.1:{LOCAL_PORT}"
    broker = Broker(LOCAL_PORT, LOCAL, stays=True)
    broker.start()
    assert broker.process is not None
    (LOCAL / "pid").write_text(str(broker.process.pid))
    return f"Kafka runs on {broker.bootstrap}; its data and log are in {LOCAL}; `make kafka-stop` ends it"


def stop() -> str:
    """End the local broker; its data stay."""
    pid = local_pid()
    if pid is None:
        return "Kafka does not run"
    end = select.poll()
    watch = os.pidfd_open(pid)
    end.register(watch, select.POLLIN)
    for how, patience in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
        signal.pidfd_send_signal(watch, how)
        if end.poll(patience * 1000):
            (LOCAL / "pid").unlink()
            return "Kafka has ended"
    raise BrokerError(f"Kafka (process {pid}) does not end")


def status() -> str:
    """Whether the local broker runs."""
    return f"Kafka runs on 127.0.0.1:{LOCAL_PORT}" if local_pid() is not None else "Kafka does not run"


def main(args: list[str]) -> None:
    """Do what the command line says; one line of result, or of what is wrong."""
    actions = {"start": start, "stop": stop, "status": status}
    if len(args) != 1 or args[0] not in actions:
        sys.exit(f"usage: python -m scripts.broker {'|'.join(actions)}")
    try:
        print(actions[args[0]]())
    except BrokerError as error:
        sys.exit(f"kafka: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
