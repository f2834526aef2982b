"""The body of an HTTP answer as a file that FFmpeg reads, and seeks in; a broken connection is taken up again.

FFmpeg's own HTTP takes a connection that breaks for the end of the film in some containers, and knows no SHA-256.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

from capture.http_client import Broken, HttpClient, HttpError, NoAnswer, Reply, Unspoken

_READ_OVER = 2**18  # bytes that are rather read than asked for anew, when FFmpeg skips forward
_BACK_OFF_S = (0.1, 2.0)
_LATER = (408, 425, 429)  # of all 4xx these mean that it may be there later
_KEPT = 8  # parts of a playlist that may still be read: some tracks, their playlists and first segments


class HttpFile:
    """Reads on where the answer is; `broke` says why it ended early, None: it did not.

    What `resumes`, as a film does, is read to its last byte: where the connection breaks, what is left is asked for
    again, for `silence_s`. A live stream does not: what was missed is gone. `waits_s` tells how long a read may wait
    for bytes, `seeks` whether FFmpeg may seek: that costs much where the server knows no ranges.
    """

    def __init__(
        self, client: HttpClient, reply: Reply | None, waits_s: Callable[[], float], silence_s: float, url: str = ""
    ) -> None:
        self._client, self.waits_s, self._silence_s, self._url = client, waits_s, silence_s, url
        self._reply = reply
        self.length = reply.length if reply else None
        self.resumes = self.length is not None
        headers = reply.headers if reply else {}
        self.seeks = headers.get("Accept-Ranges", "").strip().lower() == "bytes"
        self.broke: str | None = None
        self._etag = headers.get("ETag")
        self._rest = b""  # read from the server, not by FFmpeg yet
        self._at = self._place = 0  # of the byte that the server sends next, and that FFmpeg wants next

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.seeks and self.length is not None

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Only notes the place down: FFmpeg often seeks twice before it reads."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.length or 0}[whence & 3]
        self._place = begin + offset
        return self._place

    def read(self, count: int) -> bytes:
        """Up to so many bytes; none at the end, or where it broke."""
        if self.length is not None and self._place >= self.length:
            return b""
        if self.broke:
            return b""
        began_s, delay_s = time.monotonic(), _BACK_OFF_S[0]
        while True:
            try:
                data = self._some(count)
                if data or self.length is None or self._place >= self.length:
                    return data
                reason = "the connection ended in the midst of the film"
            except (Broken, NoAnswer, Unspoken) as error:
                if self._is_missing(error):
                    return b""
                reason = error.reason if isinstance(error, NoAnswer) else str(error)
            except TimeoutError:
                reason = f"nothing came for {time.monotonic() - began_s:.0f} s"
            self._drop()
            if not self.resumes or self.broke or time.monotonic() - began_s > self._silence_s:
                self.broke = self.broke or reason
                return b""
            time.sleep(delay_s * random.uniform(0.75, 1.25))
            delay_s = min(2 * delay_s, _BACK_OFF_S[1])

    def _some(self, count: int) -> bytes:
        """Bytes from the wanted place on, as many as there are; none where the answer ends."""
        self._go_to_place()
        if not self._rest:
            assert self._reply is not None
            self._rest = self._reply.read(self.waits_s())
            self._at += len(self._rest)
        data, self._rest = self._rest[:count], self._rest[count:]
        self._place += len(data)
        return data

    def _go_to_place(self) -> None:
        """Make the next byte that is read the wanted one: by reading over, or with a new question."""
        ahead = self._place - (self._at - len(self._rest))
        if self._reply is None or ahead < 0 or ahead > max(_READ_OVER, len(self._rest)):
            self._ask()
        while (ahead := self._place - (self._at - len(self._rest))) > 0:
            if not self._rest:
                assert self._reply is not None
                self._rest = self._reply.read(self.waits_s())
                self._at += len(self._rest)
                if not self._rest:
                    raise Broken("the connection ended in the midst of the film")
            self._rest = self._rest[ahead:]

    def _ask(self) -> None:
        """Ask from the wanted place on. A server that knows no ranges sends all of it: that is read over."""
        self._drop()
        self._reply = self._client.get({"Range": f"bytes={self._place}-"} if self._place else {}, self._url)
        self._at = self._place if self._reply.status == 206 else 0
        self._check(self._reply)

    def _check(self, reply: Reply) -> None:
        if reply.headers.get("ETag") != self._etag:
            self.broke = "the film at this address is another one now"
            raise Broken(self.broke)

    def _is_missing(self, error: Exception) -> bool:
        """Whether it is no use to ask again, and what follows is to go on without it."""
        return False

    def _drop(self) -> None:
        if self._reply is not None:
            self._reply.close()
        self._reply, self._rest = None, b""

    def close(self) -> None:
        self._drop()
        self._client.close()


class HttpPart(HttpFile):
    """A playlist or a segment that it names, asked for when FFmpeg reads it; from byte `begin` to before `end`.

    One that the server does not have (any more) is empty: FFmpeg goes on with the next one.
    """

    def __init__(self, client: HttpClient, url: str, silence_s: float, begin: int, end: int | None) -> None:
        super().__init__(client, None, lambda: silence_s, silence_s, url)
        self.resumes, self.length, self._place = True, end, begin
        self._asked = False
        self.missing = False

    def _check(self, reply: Reply) -> None:
        if not self._asked and self.length is None and reply.length is not None:
            self.length = self._at + reply.length
        if self._asked:
            super()._check(reply)
        self._asked, self._etag = True, reply.headers.get("ETag")

    def _is_missing(self, error: Exception) -> bool:
        self.missing = isinstance(error, HttpError) and 400 <= error.status < 500 and error.status not in _LATER
        return self.missing

    def close(self) -> None:
        self._drop()


class HttpParts:
    """Opens what a playlist names, for FFmpeg (`io_open` of PyAV); `broke` as of a file."""

    def __init__(self, client: HttpClient, silence_s: float) -> None:
        self._client, self._silence_s = client, silence_s
        self._parts: list[HttpPart] = []
        self._broke: str | None = None
        self.unknown = False  # whether there was a part that is not plain HTTP: encrypted by AES-128

    def __call__(self, url: str, flags: int, options: dict[str, str]) -> HttpPart:
        end = options.get("end_offset")
        part = HttpPart(self._client, url, self._silence_s, int(options.get("offset", 0)), int(end) if end else None)
        if not url.lower().startswith(("http://", "https://")):
            self.unknown = True
            part.broke = "only FFmpeg can open a part of the playlist"
        self._broke = self.broke
        self._parts = [*self._parts[-_KEPT:], part]
        return part

    @property
    def broke(self) -> str | None:
        return self._broke or next((part.broke for part in self._parts if part.broke), None)

    @property
    def missing(self) -> bool:
        """Whether one of the last parts was not there."""
        return any(part.missing for part in self._parts)

    def close(self) -> None:
        self._client.close()
