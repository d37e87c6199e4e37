"""A real Prometheus with our rules, on ports of its own, that watches services of a test."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from scripts.broker import free_port
from scripts.setup import ROOT


class Prometheus:
    """The configuration of deploy/prometheus, its targets replaced and its intervals shortened; a context manager.

    ports: where each service has its metrics; namespace: the label that targets carry.
    """

    def __init__(self, commands: Path, folder: Path, ports: dict[str, int], namespace: str) -> None:
        config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(ROOT / "deploy" / "prometheus" / "rules.yaml")]
        for job in config["scrape_configs"]:
            port = ports[job["job_name"].removeprefix("microex-")]
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": namespace}}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self._port, self._log = free_port(), (folder / "prometheus.log").open("w+")
        self._process = subprocess.Popen(
            [commands / "prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder}",
             f"--web.listen-address=127.0.0.1:{self._port}"], stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def __enter__(self) -> "Prometheus":
        self.until(lambda: self._get("/-/ready"))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _get(self, path: str, **parameters: object) -> bytes:
        address = f"http://127.0.0.1:{self._port}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return bytes(answer.read())

    def now(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an instant query. Fails when Prometheus refuses it."""
        return self._result("/api/v1/query", query=expr)

    def since(self, start: float, expr: str) -> list[dict[str, Any]]:
        """The series of a range query from a time on, a sample a second."""
        return self._result("/api/v1/query_range", query=expr, start=start, end=time.time(), step="1s")

    def _result(self, path: str, **parameters: object) -> list[dict[str, Any]]:
        try:
            answer = json.loads(self._get(path, **parameters))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters['query']}: {error.read().decode()}") from error
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def value(self, expr: str) -> float:
        """The one value of an instant query; NaN when there is none."""
        found = self.now(expr)
        return float(found[0]["value"][1]) if found else float("nan")

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that are pending or fire."""
        return list(json.loads(self._get("/api/v1/alerts"))["data"]["alerts"])

    def until(self, holds: Any, timeout_s: float = 180.0) -> None:
        """Wait for something about it; fails with its log."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if holds():
                    return
            except (urllib.error.URLError, ConnectionError):
                pass  # not up yet
            self._log.seek(0)
            assert time.monotonic() < deadline, self._log.read()[-2000:]
            try:
                self._process.wait(0.2)  # the pause between two looks ends early when it does
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"Prometheus ended:\n{self._log.read()[-2000:]}")
