"""A model on an inference server: asked while it answers in time and is the local one, reconnected to while not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from inference.backends.model_server import ModelServer
from inference.backends.v2_client import ConnectionLost, NoAnswer, OtherModel, V2Client

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0  # of the circuit breaker; twice as long each time
STEADY_S = 10.0  # a connection that lasted so long was a good one: the next wait is the first again
TOLERANCE = 0.05  # of logits: float32 on CPUs and GPUs differs by 1e-4, another training by whole numbers


class RemoteModel:
    """Asked by several threads, one after the other. What it does not answer is for the caller to answer.

    It is found by a thread of its own, so nobody waits for a connection or for the name of a host; whoever asks waits
    for one deadline, once in each absence. Each connection is checked before it is used: a server that was away may
    come back with another model. So is a model that says it is of another version than before.
    `probe` are faces (N, size, size, 3) uint8 BGR, `expected` are the local model's logits of them. `on_change` is told
    why it is not asked any more; an empty text: it is.
    """

    def __init__(
        self,
        server: ModelServer,
        deadline_s: float,
        probe: np.ndarray,
        expected: np.ndarray,
        on_change: Callable[[str], None],
    ) -> None:
        self._server, self._deadline_s = server, deadline_s
        self._probe, self._expected, self._on_change = probe, expected, on_change
        self._lock = threading.Lock()
        self._client: V2Client | None = None
        self._version, self._since_s, self._wait_s = "", 0.0, FIRST_WAIT_S
        self._state = ""
        self._tried, self._closed = threading.Event(), threading.Event()
        self._start_reconnecting(0.0)
        self._tried.wait(4 * deadline_s)  # so that the first faces are asked about there; it is found later, too

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def logits(self, pixels: np.ndarray) -> np.ndarray | None:
        """(N, classes) float32 of faces (N, size, size, 3) uint8 BGR; None while it does not answer."""
        with self._lock:
            client = self._client
            if client is None:
                return None
            most = client.max_batch or len(pixels)
            try:
                parts = [self._request(client, pixels[start : start + most]) for start in range(0, len(pixels), most)]
            except NoAnswer as reason:
                self._disconnect(client, reason)
                return None
        return np.concatenate(parts)

    def _request(self, client: V2Client, pixels: np.ndarray) -> np.ndarray:
        logits = client.logits(pixels)
        if client.version != self._version:
            raise ConnectionLost(f"it has version {client.version} now")
        return logits

    def _disconnect(self, client: V2Client, reason: NoAnswer) -> None:
        client.close()
        self._client = None
        if time.monotonic() - self._since_s >= STEADY_S:
            self._wait_s = FIRST_WAIT_S
        if isinstance(reason, ConnectionLost):  # perhaps it only closed what was not used: that is soon known
            self._start_reconnecting(0.0)
            return
        self._report(reason)
        self._start_reconnecting(self._longer_wait())

    def _start_reconnecting(self, wait_s: float) -> None:
        threading.Thread(target=self._reconnect, args=(wait_s,), name="remote model", daemon=True).start()

    def _reconnect(self, wait_s: float) -> None:
        while not self._closed.wait(wait_s):
            try:
                client = V2Client(self._server, self._deadline_s)
            except NoAnswer as reason:
                self._report(reason)
            else:
                try:
                    self._check(client)
                except NoAnswer as reason:
                    client.close()
                    self._report(reason)
                else:
                    self._connected(client)
                    return
            finally:
                self._tried.set()
            wait_s = self._longer_wait()

    def _check(self, client: V2Client) -> None:
        """Raises OtherModel where the model does not say of the probe what ours does."""
        client.read_metadata(self._probe.shape[1], self._expected.shape[1])
        try:
            logits = client.logits(self._probe)
        except NoAnswer as reason:
            if str(reason).startswith("it answers") and not client.names_binary_extension():
                raise NoAnswer(f"{reason}; it may not know tensors as bytes (binary_tensor_data)") from None
            raise
        if logits.shape != self._expected.shape:
            raise OtherModel(f"its model gives {logits.shape[1]} numbers for a face, ours {self._expected.shape[1]}")
        difference = float(np.abs(logits - self._expected).max())
        if not difference <= TOLERANCE:
            raise OtherModel(f"it holds another model, whose logits differ from ours by {difference:.2g}")

    def _connected(self, client: V2Client) -> None:
        with self._lock:
            if self._closed.is_set():
                client.close()
                return
            self._client, self._version, self._since_s = client, client.version, time.monotonic()
            self._report(None)  # before anybody can find it gone again

    def _report(self, reason: NoAnswer | None) -> None:
        """Tell of a change: it came, it went, or what answers is another model. Not each reason of one absence."""
        state = "there" if reason is None else "another" if isinstance(reason, OtherModel) else "away"
        if state != self._state:
            self._state = state
            self._on_change("" if reason is None else str(reason))

    def _longer_wait(self) -> float:
        wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, LONGEST_WAIT_S)
        return wait_s
