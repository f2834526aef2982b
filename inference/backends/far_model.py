"""A model on an inference server: asked while it answers in time and is the same as ours, looked for while not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from inference.backends.model_server import ModelServer
from inference.backends.v2_link import ConnectionLost, NoAnswer, OtherModel, V2Link

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0  # before it is tried again, twice as long each time
STEADY_S = 10.0  # a connection that lasted so long was a good one: the next wait is the first again
TOLERANCE = 0.05  # of logits: float32 on CPUs and GPUs differs by 1e-4, another training by whole numbers


class FarModel:
    """Asked by several threads, one after the other. What it does not answer is for the caller to answer.

    It is found by a thread of its own, so nobody waits for a connection or for the name of a host; whoever asks waits
    for one deadline, once in each absence. Each connection is checked before it is used: a server that was away may
    come back with another model. So is a model that says it is of another version than before. `probe` are faces (N,
    size, size, 3) uint8 BGR, `expected` what our model says of them; `tell` hears when it comes (empty) and goes (why).
    """

    def __init__(
        self,
        server: ModelServer,
        deadline_s: float,
        probe: np.ndarray,
        expected: np.ndarray,
        tell: Callable[[str], None],
    ) -> None:
        self._server, self._deadline_s = server, deadline_s
        self._probe, self._expected, self._tell = probe, expected, tell
        self._asking = threading.Lock()
        self._link: V2Link | None = None
        self._version, self._since_s, self._wait_s = "", 0.0, FIRST_WAIT_S
        self._told = ""
        self._tried, self._closed = threading.Event(), threading.Event()
        self._look_for_it(0.0)
        self._tried.wait(4 * deadline_s)  # so that the first faces are asked about there; it is found later, too

    def close(self) -> None:
        self._closed.set()
        with self._asking:
            if self._link is not None:
                self._link.close()
                self._link = None

    def logits(self, pixels: np.ndarray) -> np.ndarray | None:
        """(N, classes) float32 of faces (N, size, size, 3) uint8 BGR; None while it does not answer."""
        with self._asking:
            link = self._link
            if link is None:
                return None
            most = link.most or len(pixels)
            try:
                parts = [self._asked(link, pixels[start : start + most]) for start in range(0, len(pixels), most)]
            except NoAnswer as reason:
                self._lose(link, reason)
                return None
        return np.concatenate(parts)

    def _asked(self, link: V2Link, pixels: np.ndarray) -> np.ndarray:
        logits = link.logits(pixels)
        if link.version != self._version:
            raise ConnectionLost(f"it has version {link.version} now")
        return logits

    def _lose(self, link: V2Link, reason: NoAnswer) -> None:
        link.close()
        self._link = None
        if time.monotonic() - self._since_s >= STEADY_S:
            self._wait_s = FIRST_WAIT_S
        if isinstance(reason, ConnectionLost):  # perhaps it only closed what was not used: that is soon known
            self._look_for_it(0.0)
            return
        self._say(reason)
        self._look_for_it(self._longer_wait())

    def _look_for_it(self, wait_s: float) -> None:
        threading.Thread(target=self._find, args=(wait_s,), name="far model", daemon=True).start()

    def _find(self, wait_s: float) -> None:
        while not self._closed.wait(wait_s):
            try:
                link = V2Link(self._server, self._deadline_s)
            except NoAnswer as reason:
                self._say(reason)
            else:
                try:
                    self._check(link)
                except NoAnswer as reason:
                    link.close()
                    self._say(reason)
                else:
                    self._found(link)
                    return
            finally:
                self._tried.set()
            wait_s = self._longer_wait()

    def _check(self, link: V2Link) -> None:
        """Raises OtherModel where the model does not say of the probe what ours does."""
        link.look(self._probe.shape[1], self._expected.shape[1])
        try:
            logits = link.logits(self._probe)
        except NoAnswer as reason:
            if str(reason).startswith("it answers") and not link.takes_bytes():
                raise NoAnswer(f"{reason}; it may not know tensors as bytes (binary_tensor_data)") from None
            raise
        if logits.shape != self._expected.shape:
            raise OtherModel(f"its model gives {logits.shape[1]} numbers for a face, ours {self._expected.shape[1]}")
        difference = float(np.abs(logits - self._expected).max())
        if not difference <= TOLERANCE:
            raise OtherModel(f"it holds another model, whose logits differ from ours by {difference:.2g}")

    def _found(self, link: V2Link) -> None:
        with self._asking:
            if self._closed.is_set():
                link.close()
                return
            self._link, self._version, self._since_s = link, link.version, time.monotonic()
        self._say(None)

    def _say(self, reason: NoAnswer | None) -> None:
        """Tell of a change: it came, it went, or what answers is another model. Not each reason of one absence."""
        state = "there" if reason is None else "another" if isinstance(reason, OtherModel) else "away"
        if state != self._told:
            self._told = state
            self._tell("" if reason is None else str(reason))

    def _longer_wait(self) -> float:
        wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, LONGEST_WAIT_S)
        return wait_s
