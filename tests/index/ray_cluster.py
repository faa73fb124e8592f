"""A real Ray cluster on addresses of the loopback interface, each node with one CPU."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RAY = Path(sys.executable).with_name("ray")
# The loopback network has more addresses than 127.0.0.1, which Ray would take for the machine's outer one.
HEAD = "127.0.0.2"
_START_S = 90


class RayCluster:
    """`address` is for processes on its nodes, `client` for those elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._agents: set[int] = set()
        port, self._client_port = _free_ports(2)
        self.address = f"{HEAD}:{port}"
        self.client = f"ray://{HEAD}:{self._client_port}"
        self.environment = {
            **os.environ,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": str(folder),
            # A node that is gone is noticed within seconds.
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_failure_threshold": "4",
        }

    def start_head(self) -> None:
        self._start(
            HEAD,
            "--head",
            f"--port={self.address.rpartition(':')[2]}",
            "--include-dashboard=false",
            f"--ray-client-server-port={self._client_port}",
            f"--temp-dir={self._folder}",
        )

    @contextmanager
    def node(self, ip: str, **variables: str) -> Iterator[None]:
        """Another node, with these variables in its environment."""
        self._start(ip, f"--address={self.address}", **variables)
        try:
            yield
        finally:
            self.kill(ip)

    def kill(self, ip: str) -> None:
        """Kill a node with all that belongs to it, as a power cut does; its raylet first."""
        for process in sorted(self._processes(ip), key=lambda found: "raylet/raylet" not in found[1]):
            _kill(process[0])

    def end(self) -> None:
        for pid, _ in self._processes(""):
            _kill(pid)

    def _start(self, ip: str, *options: str, **variables: str) -> None:
        command = [
            str(_RAY),
            "start",
            *options,
            f"--node-ip-address={ip}",
            "--num-cpus=1",
            "--object-store-memory=80000000",
            "--min-worker-port=0",
            "--max-worker-port=0",
        ]
        with tempfile.TemporaryFile() as said:
            code = subprocess.call(
                command,
                env=self.environment | variables,
                stdout=said,
                stderr=said,
                timeout=_START_S,
                cwd=self._folder,
            )
            said.seek(0)
            assert code == 0, said.read().decode()

    def _processes(self, ip: str) -> list[tuple[int, str]]:
        """The processes of a node, or of all: those with our folder in their command lines, and what they started.

        What a raylet starts names itself after what it does, over its command line and environment.
        """
        lines, parents = {}, {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                try:
                    lines[int(folder.name)] = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
                    parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        found = {
            pid
            for pid, line in lines.items()
            if any(mark in line for mark in (str(self._folder), self.address)) and ip in line
        }
        found |= {pid for pid, parent in parents.items() if parent in found and lines[pid].startswith("ray::")}
        if not ip:
            found |= {pid for pid in self._agents if lines.get(pid, "").startswith("ray::")}
        self._agents |= {pid for pid in found if lines[pid].startswith("ray::")}
        return [(pid, lines[pid]) for pid in found]


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster with a head that computes too; nothing is left of it after."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # short, as sockets are made in it
    cluster = RayCluster(folder)
    try:
        cluster.start_head()
        yield cluster
    finally:
        cluster.end()
        deadline = time.monotonic() + 20
        while cluster._processes("") and time.monotonic() < deadline:
            time.sleep(0.1)
        left = cluster._processes("")
        shutil.rmtree(folder, ignore_errors=True)
        assert not left, left


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((HEAD, 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports
