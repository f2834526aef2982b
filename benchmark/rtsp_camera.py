"""A network camera that is not there: a film over and over as live RTSP on loopback, to as many viewers as ask.

It is a process of its own, `python -m benchmark.rtsp_camera FILM [FPS]`, so that its CPU is not the pipeline's. Each
viewer gets the film from its first picture on, at its rate, over the connection itself (RTP in TCP); the time stamps
go on when it begins anew, so no viewer sees an end. What a viewer does not take is left out up to the next key
picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
from pathlib import Path

from msgspec.structs import replace

from benchmark.program import ROOT
from benchmark.rtp import CLOCK_HZ, PAYLOAD_TYPE, CodedFilm, framed, read_film
from configs.errors import Failure

WAITING_BYTES = 4_000_000  # for one viewer: about two seconds of 1080p; a camera has no more either
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"


class RtspCamera:
    """The camera's process, at the film's rate or another. Use it in a `with` block."""

    def __init__(self, film: Path, fps: float | None = None) -> None:
        command = [sys.executable, "-m", "benchmark.rtsp_camera", str(film), *([str(fps)] if fps else [])]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
        )  # Ctrl-C is not for it: it ends when its standard input does
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not port:
            raise Failure(f"the camera did not start: it ended with exit code {self._process.wait()}")
        self._port = int(port)

    def url(self, number: int = 1) -> str:
        """Where its stream is; a number for each viewer, so that streams have names of their own."""
        return f"rtsp://127.0.0.1:{self._port}/{number}"

    def __enter__(self) -> RtspCamera:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class Viewer:
    """One connection: its requests are answered, and after PLAY it is sent the film."""

    def __init__(self, film: CodedFilm, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ssrc: int) -> None:
        self._film, self._reader, self._writer, self._ssrc = film, reader, writer, ssrc

    async def serve(self) -> None:
        """Until it goes."""
        playing = None
        try:
            while (request := await self._request()) is not None:
                method, url, number = request
                self._answer(method, url, number)
                if method == "PLAY":
                    playing = asyncio.create_task(self._play())
                elif method == "TEARDOWN":
                    break
        finally:
            if playing is not None:
                playing.cancel()
            self._writer.close()

    async def _request(self) -> tuple[str, str, str] | None:
        """The next one: method, URL and its number (CSeq); None at the end. Reports of RTCP in between are skipped."""
        while (first := await self._reader.read(1)) == b"$":
            _, high, low = await self._reader.readexactly(3)
            await self._reader.readexactly(256 * high + low)
        if not first:
            return None
        head = (first + await self._reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
        fields = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in head.split("\r\n"))}
        await self._reader.readexactly(int(fields.get("content-length", 0)))
        method, url, *_ = head.split(" ")
        return method, url, fields.get("cseq", "0")

    def _answer(self, method: str, url: str, number: str) -> None:
        body, more = "", {"Session": "1;timeout=60"}
        if method == "OPTIONS":
            more = {"Public": _METHODS}
        elif method == "DESCRIBE":
            body = description(self._film)
            more = {"Content-Base": f"{url}/", "Content-Type": "application/sdp"}
        elif method == "SETUP":
            more["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1"
        head = {"CSeq": number, **more, "Content-Length": str(len(body))}
        lines = [f"{name}: {text}\r\n" for name, text in head.items()]
        self._writer.write(f"RTSP/1.0 200 OK\r\n{''.join(lines)}\r\n{body}".encode())

    async def _play(self) -> None:
        """Each picture when it is due."""
        clock, fps, seq, skipping = asyncio.get_running_loop().time, self._film.fps, 0, False
        began_s = clock()
        for number, picture in enumerate(itertools.cycle(self._film.pictures)):
            await asyncio.sleep(began_s + number / fps - clock())
            full = self._writer.transport.get_write_buffer_size() > WAITING_BYTES
            skipping = full or (skipping and not picture.key)
            if not skipping:
                self._writer.write(framed(picture, seq, round(number * CLOCK_HZ / fps), self._ssrc))
                seq += len(picture.payloads)


def description(film: CodedFilm) -> str:
    """What the camera sends, as SDP."""
    lines = (
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=camera",
        "t=0 0",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        "c=IN IP4 0.0.0.0",
        f"a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_HZ}",
        f"a=fmtp:{PAYLOAD_TYPE} {film.format}",
        f"a=framerate:{film.fps:g}",
        "a=control:video",
    )
    return "".join(f"{line}\r\n" for line in lines)


async def serve(film: CodedFilm) -> None:
    """Say the port on standard output, and serve until standard input ends: the camera's user has ended then."""
    numbers = itertools.count(1)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # it went in the middle of something
            await Viewer(film, reader, writer, next(numbers)).serve()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    told = read_film(Path(sys.argv[1]))
    asyncio.run(serve(replace(told, fps=float(sys.argv[2])) if len(sys.argv) > 2 else told))
