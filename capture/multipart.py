"""Takes a multipart/x-mixed-replace stream (MJPEG over HTTP) apart, as leniently as browsers do.

FFmpeg's reader wants a boundary before the first part and a Content-Type in each: Tasmota's and many ESP32 cameras
leave out the one or the other.
"""

from __future__ import annotations

LARGEST = 32 * 2**20  # bytes of a part; one of a camera of 12 MP has 6 MB
_LONGEST_LINE = 8192  # bytes


class TooLarge(Exception):
    """A part is larger than any picture: this is no multipart stream."""


class Multipart:
    """What is fed is taken apart; `part()` gives one whole part after the other.

    `boundary` is that of the Content-Type, with or without its quotes and dashes. Where the stream itself uses another
    one, that counts.
    """

    def __init__(self, boundary: str) -> None:
        self._boundary = boundary.strip().strip('"').strip("-").encode()
        self._buffer = bytearray()
        self._in_headers = False
        self._searched = 0  # up to here there is no boundary in the buffer
        self._fields: dict[bytes, bytes] = {}
        self._headers: dict[bytes, bytes] | None = None  # of the part whose body is being read

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def part(self) -> tuple[str, bytes] | None:
        """Media type (empty if it has none) and body of the next part; None: more must be fed. Raises TooLarge."""
        while self._headers is None:
            line = self._line()
            if line is None:
                return None
            self._read_line(line)
        body = self._body()
        if body is None:
            if len(self._buffer) > LARGEST:
                raise TooLarge
            return None
        media_type = self._headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        self._headers, self._in_headers = None, False
        return media_type.decode("latin-1"), body

    def _line(self) -> bytes | None:
        """The next line, taken out of the buffer, without its end."""
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > _LONGEST_LINE:  # the rest of a part that is longer than it said
                del self._buffer[:-_LONGEST_LINE]
            return None
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line

    def _read_line(self, line: bytes) -> None:
        """A line between two parts: a boundary, a header of the next one, the empty line behind it, or else."""
        name, colon, value = line.partition(b":")
        if line.startswith(b"--"):
            if not line.endswith(b"--"):
                self._boundary = line.strip().strip(b"-")
            self._in_headers, self._fields = True, {}
        elif colon and (self._in_headers or name.strip().lower().startswith(b"content-")):
            if not self._in_headers:  # no boundary before the first part
                self._in_headers, self._fields = True, {}
            self._fields[name.strip().lower()] = value.strip()
        elif not line and self._in_headers:
            self._headers = self._fields

    def _body(self) -> bytes | None:
        """The body of the part, taken out of the buffer, as soon as it is there as a whole."""
        assert self._headers is not None
        length = self._headers.get(b"content-length", b"")
        if length.isdigit() and int(length):
            if int(length) > LARGEST:
                raise TooLarge
            if len(self._buffer) < int(length):
                return None
            body = bytes(self._buffer[: int(length)])
            del self._buffer[: int(length)]
            return body
        end = self._end()
        if end is None:
            return None
        body = bytes(self._buffer[:end])
        del self._buffer[:end]
        return body

    def _end(self) -> int | None:
        """Where the next boundary, with the line end before it, begins in the buffer."""
        buffer, boundary = self._buffer, self._boundary
        while boundary and (at := buffer.find(boundary, self._searched)) >= 0:
            self._searched = at + 1
            end = len(buffer[:at].rstrip(b"-"))
            if buffer[:end].endswith(b"\n"):
                self._searched = 0
                return end - 2 if buffer[:end].endswith(b"\r\n") else end - 1
        self._searched = max(self._searched, len(buffer) - len(boundary))
        return None
