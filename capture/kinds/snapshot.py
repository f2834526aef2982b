"""Pictures of a camera that gives one image a request, as http://192.0.2.10/snapshot.jpg."""

from __future__ import annotations

import time

import numpy as np

from capture.http_client import Broken, HttpClient, NoAnswer, Reply, Unspoken
from capture.kinds.mjpeg import TICK_S
from capture.picture import NotYet, Picture, Room, Source, SourceLost
from capture.still import decode_image

USUAL_FPS = 1.0  # where no rate is asked for
_LARGEST = 64 * 2**20  # bytes of an image


class SnapshotCamera(Source):
    """An image that is fetched `fps` times a second (1), on one connection if the server keeps it open.

    An image that did not change (304, or the same bytes) is no new picture. Raises SourceLost where none could be
    fetched for `silence_s`.
    """

    live = True
    fps = 0.0  # as many as there are new ones

    def __init__(self, client: HttpClient, first: Reply, fps: float | None, silence_s: float) -> None:
        self._client, self._silence_s = client, silence_s
        self._interval_s = 1 / (fps or USUAL_FPS)
        self._heard_s = self._due_s = time.monotonic()
        self._known: dict[str, str] = {}  # headers that ask for an image only if it is another one
        self._body = b""
        self._first: Reply | None = first

    def read(self, room: Room) -> Picture:
        """The next picture at its time. Raises NotYet, SourceLost, or Undecodable for a broken one."""
        early_s = self._due_s - time.monotonic()
        if early_s > 0:
            time.sleep(min(early_s, TICK_S))
            if early_s > TICK_S:
                raise NotYet
        now_s = time.monotonic()
        self._due_s = max(self._due_s + self._interval_s, now_s)
        body = self._fetch()
        if body == self._body:
            raise NotYet
        self._body = body
        image = decode_image(body, "a snapshot")
        slot = room(*image.shape[:2])
        np.copyto(slot, image)
        return Picture(slot, time.monotonic_ns())

    def _fetch(self) -> bytes:
        """The image of now, which may be the one before. Raises NotYet where that fails, SourceLost after a while."""
        try:
            reply, self._first = self._first or self._client.get(self._known), None
            body = self._body if reply.status == 304 else reply.all(_LARGEST, self._silence_s)
            reply.close()
        except TimeoutError:
            raise self._failed(f"no answer within {self._silence_s:g} s") from None
        except (Broken, NoAnswer, Unspoken) as error:
            raise self._failed(error.reason if isinstance(error, NoAnswer) else str(error)) from None
        self._heard_s = time.monotonic()
        known = {"If-None-Match": reply.headers.get("ETag"), "If-Modified-Since": reply.headers.get("Last-Modified")}
        self._known = {name: value for name, value in known.items() if value} or self._known
        return body

    def _failed(self, reason: str) -> Exception:
        """One request may fail; a camera that answers none is away."""
        if time.monotonic() - self._heard_s > self._silence_s:
            return SourceLost(reason)
        return NotYet(reason)

    def close(self) -> None:
        self._client.close()
