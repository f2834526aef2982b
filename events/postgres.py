"""Delivers events into a table of PostgreSQL, several at once; the event's id is the key, so none is stored twice."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from configs.errors import InputError
from configs.redact import redact
from events.event import Event
from events.receiver import NotTaken, Waiting

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMES = ("postgres", "postgresql")
USUAL_TABLE = "maskstream_events"
TIMEOUT_S = 5.0  # to connect, and for each statement: a server that is stopped keeps its connections open
# Columns that are made and filled, with their types. `body` is the whole event as JSON, with what later versions add.
COLUMNS = {
    "id": "text", "time": "timestamptz", "site": "text", "host": "text", "shard": "text", "run": "text",
    "stream": "text", "rule": "text", "text": "text",
    "track": "bigint", "label": "text", "before": "text", "confidence": "double precision",
    "duration_s": "double precision", "body": "jsonb", "picture": "bytea",
}  # fmt: skip
_WRONG = ("28", "3D", "3F", "42")  # classes of SQLSTATE: login, database, schema, and what a statement names
_GOES = ("08", "57")  # and of a server that is going or gone
_WRONG_LOGIN = (  # what the server says before it gives a SQLSTATE that the driver passes on
    "password authentication failed", "no password supplied", "no pg_hba.conf entry", "does not exist",
    "authentication failed", "is not permitted to log in", "permission denied for database",
    "server does not support SSL",
)  # fmt: skip


class Postgres:
    """`postgres://[user[:password]@]host[:port]/database[?table=[SCHEMA.]TABLE]`, and libpq's other words (`sslmode`).

    The table is made where it is not there. A batch is one transaction.
    """

    def __init__(self, url: str) -> None:
        check_url(url)
        self._url, self._table = without_table(url)
        self._link: Connection[Any] | None = None

    def check(self) -> None:
        """Connect, make the table where there is none, and try whether it takes events, with none."""
        import psycopg

        try:
            self._connect()
        except psycopg.Error as error:
            if _is_wrong(error):
                raise InputError(f"{self._told(error)}: name another user, database or ?table=") from None
            if isinstance(error, psycopg.ProgrammingError):  # a word of the address that libpq does not know
                raise InputError(self._told(error)) from None
            raise OSError(_in_words(error)) from None

    def send(self, events: Sequence[Waiting]) -> list[bool]:
        """Store all of them, or none. Raises NotTaken or OSError as a Receiver does."""
        import psycopg

        rows = [_row(*event) for event in events]
        was_open = self._link is not None
        try:
            try:
                self._store(rows)
            except psycopg.OperationalError:
                self.close()
                if not was_open:
                    raise
                self._store(rows)  # what a connection that lay idle says of itself, when a firewall has dropped it
        except psycopg.Error as error:
            self.close()
            if _is_wrong(error) or (error.sqlstate and error.sqlstate[:2] not in _GOES):
                raise NotTaken(f"it says: {_in_words(error)}") from None
            raise OSError(_in_words(error)) from None
        return [True] * len(rows)

    def _store(self, rows: list[dict[str, object]]) -> None:
        link = self._link or self._connect()
        with self._in_time(link), link.transaction(), link.cursor() as cursor:
            cursor.executemany(self._insert("VALUES ({})".format(", ".join(f"%({name})s" for name in COLUMNS))), rows)

    def _connect(self) -> Connection[Any]:
        """A connection whose table takes events. Raises psycopg.Error."""
        import psycopg

        usual: dict[str, Any] = {"connect_timeout": round(TIMEOUT_S), "application_name": "maskstream"}
        given = dict(parse_qsl(urlsplit(self._url).query, keep_blank_values=True))
        link = psycopg.connect(self._url, autocommit=True, **{k: v for k, v in usual.items() if k not in given})
        try:
            with self._in_time(link):
                if link.execute("SELECT to_regclass(%s)", [self._name.as_string(link)]).fetchone() == (None,):
                    self._create(link)
                # Says what is wrong with a table that is another's: a column, the key, the right to insert.
                link.execute(self._insert(f"SELECT {', '.join(f'NULL::{t}' for t in COLUMNS.values())} WHERE false"))
        except BaseException:
            link.close()
            raise
        self._link = link
        return link

    def _create(self, link: Connection[Any]) -> None:
        import psycopg
        from psycopg import sql

        columns = [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind + _MORE.get(name, "")))
            for name, kind in COLUMNS.items()
        ]
        statement = sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(self._name, sql.SQL(", ").join(columns))
        with contextlib.suppress(psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
            link.execute(statement)  # raises these where another run makes it in the same moment

    def _insert(self, rows: str) -> Any:
        from psycopg import sql

        columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        return sql.SQL("INSERT INTO {} ({}) {} ON CONFLICT (id) DO NOTHING").format(self._name, columns, sql.SQL(rows))

    @property
    def _name(self) -> Any:
        from psycopg import sql

        return sql.Identifier(*self._table.split("."))

    @contextlib.contextmanager
    def _in_time(self, link: Connection[Any]) -> Iterator[None]:
        """Cut the connection off where the server does not answer: libpq itself waits for ever."""
        timer = threading.Timer(TIMEOUT_S, _cut_off, [link])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _told(self, error: Exception) -> str:
        return f"sink {redact(self._url)!r}: {redact(_in_words(error))}"

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


_MORE = {"id": " PRIMARY KEY", "time": " NOT NULL", "stream": " NOT NULL", "body": " NOT NULL"}


def _row(event: Event, picture: bytes | None) -> dict[str, object]:
    """The columns of an event. A zero byte, which a text of PostgreSQL cannot hold, becomes the sign for what it is."""
    about = {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in msgspec.to_builtins(event).items()
    }
    row: dict[str, object] = {name: about.get(name) for name in COLUMNS}
    body = msgspec.json.encode(about).decode()
    return row | {"picture": picture, "body": body, "duration_s": event.duration_s}  # the JSON leaves out a 0


def _cut_off(link: Connection[Any]) -> None:
    import psycopg

    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(link.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


def _is_wrong(error: Exception) -> bool:
    """Whether the server answered, and will answer so again."""
    import psycopg

    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state[:2] in _WRONG if state else any(words in str(error) for words in _WRONG_LOGIN)


def _in_words(error: Exception) -> str:
    """What libpq says in several lines, in one; without the statement that it repeats."""
    return " ".join(str(error).partition("\nLINE ")[0].split()) or type(error).__name__


def without_table(url: str) -> tuple[str, str]:
    """The address as libpq takes it, and the table's name.

    >>> without_table("postgres://me@h/db?table=video.events&sslmode=require")
    ('postgres://me@h/db?sslmode=require', 'video.events')
    """
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    table = next((value for name, value in pairs if name == "table"), USUAL_TABLE)
    return parts._replace(query=urlencode([pair for pair in pairs if pair[0] != "table"])).geturl(), table


def check_url(url: str) -> None:
    """Refuse what is no address of a database, or lacks the library; raises InputError."""
    try:
        parts = urlsplit(url)
        table = without_table(url)[1]
        good = url.partition(":")[2].startswith("//") and bool(parts.path.strip("/")) and "/" not in parts.path[1:]
        good = good and (parts.port is None or parts.port > 0) and all(table.split(".")) and table.count(".") < 2
    except ValueError:
        good = False
    if not good:
        raise InputError(
            f"sink {redact(url)!r}: write it as postgres://USER@HOST/DATABASE, "
            "postgres://USER:PASSWORD@HOST:PORT/DATABASE?table=SCHEMA.TABLE&sslmode=verify-full"
        )
    if importlib.util.find_spec("psycopg") is None:
        needed = "psycopg, the extra [postgres]: pip install 'psycopg[binary]>=3.2'"
        raise InputError(f"sink {redact(url)!r} needs {needed}")
