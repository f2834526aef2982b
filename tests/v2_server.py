"""A small real inference server: Open Inference Protocol v2 over HTTP with tensors as bytes, ONNX Runtime behind it.

`python tests/v2_server.py MODEL.onnx PORT LOG` serves it on loopback as `mask`; each batch is a line in LOG: its size.
Options for what servers do: see `main`.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime

KINDS = {"tensor(uint8)": "UINT8", "tensor(float)": "FP32"}


class ModelServer:
    """Serves a model on loopback, in threads; `port` 0 takes a free one. What it does may be changed while it runs.

    `batches` are the sizes of what it was asked. `slow_s`: before each answer; `most`: its largest batch, told as
    Triton tells it; `fails`: an answer of 500; `takes_bytes` false: as MLServer 1.7; `as_json`: it answers without
    bytes; `closes`: each connection after an answer; `token`: what it wants.
    """

    def __init__(self, model: Path, port: int = 0, tls: tuple[Path, Path] | None = None, log: Path | None = None):
        self.load(model, "1")
        self.batches: list[int] = []
        self.connections: list[socket.socket] = []
        self.slow_s, self.most, self.fails, self.takes_bytes, self.as_json = 0.0, 0, False, True, False
        self.closes, self.token, self.log = False, "", log
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        scheme = "http"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.port = self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}/mask"
        self.thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def load(self, model: Path, version: str) -> None:
        """Serve another model from now on, on the connections that are open, too."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.served = session, version

    def close(self) -> None:
        """As a death of its process: connections end, too."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.thread.join()

    def metadata(self) -> dict[str, object]:
        session, version = self.served
        described = {
            side: [{"name": t.name, "datatype": KINDS[t.type], "shape": [-1, *t.shape[1:]]} for t in tensors]
            for side, tensors in (("inputs", session.get_inputs()), ("outputs", session.get_outputs()))
        }
        return {"name": "mask", "versions": [version], "platform": "onnxruntime_onnx"} | described

    def answer(self, head: dict, pixels: bytes) -> tuple[dict[str, object], bytes]:
        """The JSON and the bytes behind it."""
        session, version = self.served
        [asked] = head["inputs"]
        assert asked["parameters"]["binary_data_size"] == len(pixels)
        faces = np.frombuffer(pixels, np.uint8).reshape(asked["shape"])
        wanted = [output["name"] for output in head["outputs"]]
        self.batches.append(len(faces))
        if self.log is not None:
            with self.log.open("a") as log:
                log.write(f"{len(faces)}\n")
        time.sleep(self.slow_s)
        [logits] = session.run(wanted, {asked["name"]: faces})
        output: dict[str, object] = {"name": wanted[0], "datatype": "FP32", "shape": list(logits.shape)}
        behind = b"" if self.as_json else logits.tobytes()
        if self.as_json:
            output["data"] = logits.ravel().tolist()
        else:
            output["parameters"] = {"binary_data_size": len(behind)}
        return {"model_name": "mask", "model_version": version, "outputs": [output]}, behind

    def _handler(owner) -> type[http.server.BaseHTTPRequestHandler]:  # `self` is the handler's
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                owner.connections.append(self.connection)

            def do_GET(self) -> None:
                extensions = ["model_configuration", *(["binary_tensor_data"] if owner.takes_bytes else [])]
                answers = {
                    "/v2": {"name": "small", "version": "1", "extensions": extensions},
                    "/v2/models/mask": owner.metadata(),
                    **({"/v2/models/mask/config": {"max_batch_size": owner.most}} if owner.most else {}),
                }
                if self.refused():
                    return
                found = answers.get(self.path)
                self.send(200 if found else 404, found or {"error": f"unknown address {self.path}"})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                length = int(self.headers["Inference-Header-Content-Length"])
                head = json.loads(body[:length])
                faces = head["inputs"][0]["shape"][0]
                if self.refused():
                    return
                if owner.fails or not owner.takes_bytes:
                    self.send(500, {"error": "Internal Server Error"})
                elif owner.most and faces > owner.most:
                    self.send(400, {"error": f"batch of {faces}, at most {owner.most}"})
                else:
                    self.send(200, *owner.answer(head, body[length:]))

            def refused(self) -> bool:
                if owner.token and self.headers.get("Authorization") != f"Bearer {owner.token}":
                    self.send(401, {"error": "who are you?"})
                    return True
                return False

            def send(self, status: int, head: dict[str, object], behind: bytes = b"") -> None:
                text = json.dumps(head).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text) + len(behind)))
                if behind:
                    self.send_header("Inference-Header-Content-Length", str(len(text)))
                if owner.closes:
                    self.send_header("Connection", "close")
                with contextlib.suppress(OSError):  # who asked waits no more
                    self.end_headers()
                    self.wfile.write(text + behind)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


class ServerProcess:
    """A server as a process on loopback, on the same port each time: this one, or another script that is called so.

    `asked(life)`: the sizes of the batches that were asked of its so many-th life.
    """

    def __init__(self, folder: Path, script: Path = Path(__file__), interpreter: str = sys.executable):
        self._folder, self._command = folder, [interpreter, str(script)]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mask"
        self._lives: list[subprocess.Popen[bytes]] = []

    def start(self, model: Path, within_s: float = 60.0) -> None:
        log = self._log(len(self._lives))
        log.touch()
        command = [*self._command, str(model), str(self.port), str(log)]
        alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        out = self._folder / f"said.{len(self._lives)}.txt"
        with out.open("w") as file:
            self._lives.append(subprocess.Popen(command, env=alone, stdout=file, start_new_session=True))
        deadline_s = time.monotonic() + within_s
        while "ready" not in out.read_text():
            assert self._lives[-1].poll() is None, f"{command} ended; its stderr says why"
            assert time.monotonic() < deadline_s, f"{command} did not start within {within_s} s"
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """To the process and all that it started; SIGSTOP freezes it, connections stay open."""
        os.killpg(self._lives[-1].pid, number)

    def kill(self) -> None:
        if self._lives and self._lives[-1].poll() is None:
            self.signal(signal.SIGKILL)
            self._lives[-1].wait()

    def asked(self, life: int) -> list[int]:
        return [int(line) for line in self._log(life).read_text().split()]

    def _log(self, life: int) -> Path:
        return self._folder / f"asked.{life}.txt"


def main() -> None:
    """Serve until killed; says `ready` when it listens."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("log", type=Path)
    given = parser.parse_args()
    server = ModelServer(given.model, given.port, log=given.log)
    print("ready", server.url, flush=True)
    server.thread.join()


if __name__ == "__main__":
    main()
