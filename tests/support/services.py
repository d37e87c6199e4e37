"""Services as processes: started as a user starts them, watched through their logs and status pages."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

MICROEX = [sys.executable, "-m", "services.cli"]


def microex_with(module: str, **values: object) -> list[str]:
    """The command `microex` in which constants of a module are others."""
    changes = "\n".join(f"changed.{name} = {value!r}" for name, value in values.items())
    return [sys.executable, "-c", f"import {module} as changed\n{changes}\nfrom services.cli import main\nmain()"]


class Service:
    """One `microex …` process with JSON logs; a context manager that never leaves it behind."""

    def __init__(self, *args: str, env: Mapping[str, str], command: Sequence[str] = MICROEX) -> None:
        self.events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [*command, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, "MICROEX_LOG_FORMAT": "json", "MICROEX_HTTP_PORT": "0", "OMP_NUM_THREADS": "1", **env},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                event = {"event": line.decode(errors="replace").rstrip(), "raw": True}
            with self._news:
                self.events.append(event)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def await_event(self, found: Callable[[dict[str, Any]], bool] | str, timeout_s: float = 180.0) -> dict[str, Any]:
        """The first log line that is `found` (or whose event is that text); fails with the whole log otherwise."""
        match = (lambda e: e.get("event") == found) if isinstance(found, str) else found
        with self._news:
            self._news.wait_for(lambda: any(map(match, self.events)) or self.process.poll() is not None, timeout_s)
            hit = next(filter(match, self.events), None)
        assert hit is not None, f"{found} did not come; the log:\n{self.log()}"
        return hit

    def log(self) -> str:
        """What was logged so far, one line an event."""
        return "\n".join(json.dumps(event) for event in self.events)

    def url(self, path: str) -> str:
        """Address of a status page."""
        return f"http://127.0.0.1:{self.await_event('status pages')['port']}{path}"

    def page(self, path: str) -> int:
        """Status of a page: 200, or 503 with a reason that is not looked at."""
        try:
            with urllib.request.urlopen(self.url(path), timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """All samples of /metrics: (name, labels) to value."""
        with urllib.request.urlopen(self.url("/metrics"), timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}

    def total(self, name: str, **labels: str) -> float:
        """Sum of a metric over all samples that carry these labels."""
        wanted = set(labels.items())
        return sum(value for (n, ls), value in self.metrics().items() if n == name and wanted <= ls)

    def until(self, holds: Callable[[], object], timeout_s: float = 180.0) -> None:
        """Wait for something about the running service; fails with its log when it ends or takes longer."""
        deadline = time.monotonic() + timeout_s
        while not self._answers(holds):
            assert time.monotonic() < deadline, f"did not come about in {timeout_s} s; the log:\n{self.log()}"
            try:
                code = self.process.wait(0.1)  # the pause between two looks ends early when the service does
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"ended with {code}; the log:\n{self.log()}")

    def _answers(self, question: Callable[[], object]) -> object:
        try:
            return question()
        except OSError:  # its status pages went away: whether it has ended is the next thing to look at
            return None

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 60.0) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 240.0) -> int:
        """Wait for its own end; the exit code."""
        code = self.process.wait(timeout_s)
        self._reader.join(5)
        return code

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._reader.join(5)


def run(*args: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A `microex …` command to its end, with what it printed."""
    return subprocess.run([*MICROEX, *args], env={**os.environ, **(env or {})}, cwd=cwd, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, check=False, timeout=300)  # fmt: skip
