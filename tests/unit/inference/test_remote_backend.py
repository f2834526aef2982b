"""An inference server in the model's place: asked over a real socket, and never the reason why a face has no answer."""

import logging
import socket
import threading
import time

import numpy as np
import pytest
from certificates import certificate, openssl
from ports import free_port
from served_models import shipped, with_outputs
from servers import until
from v2_server import ModelServer

from configs.schema import ClassifyConfig
from inference.backends import SHIPPED_INT8, open_backend
from inference.backends.remote_backend import RemoteBackend
from inference.preprocess import prepare
from transport.stage import StageContext

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shipped(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def swapped(model, tmp_path_factory):
    """Calls masks no masks."""
    return with_outputs(model, tmp_path_factory.mktemp("swapped") / "swapped.onnx", [1, 0, 2])


@pytest.fixture(scope="module")
def here():
    return open_backend(ClassifyConfig())


@pytest.fixture
def serve(model):
    servers = []

    def start(path=model, **options):
        servers.append(ModelServer(path, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def remote(here):
    """`remote(url, **options)`: the backend, and what it tells of itself."""
    opened = []

    def start(url, deadline_ms=2000.0, **options):
        context = StageContext()
        config = ClassifyConfig(remote=url, remote_deadline_ms=deadline_ms, **options)
        opened.append(RemoteBackend(SHIPPED_INT8, config, here, context))
        return opened[-1], context

    yield start
    for backend in opened:
        backend.close()


def crops(count):
    rng = np.random.default_rng(count)
    return [rng.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(count)]


def asked(backend, count=3):
    return backend.probabilities(prepare(crops(count), backend.preprocessing))


def test_the_server_is_asked_and_says_what_the_model_here_says(serve, remote, here):
    server = serve()
    backend, context = remote(server.url)
    answers = asked(backend, 5)
    np.testing.assert_allclose(answers, asked(here, 5), atol=1e-4)
    assert server.batches == [2, 5]  # of the check, and these
    assert context.counts == {"classified_remotely": 5, "classified_locally": 0}
    assert context.says == {"provider": server.url}


def test_more_faces_than_the_server_takes_at_once_go_in_parts(serve, remote, here):
    server = serve()
    server.most = 4
    backend, context = remote(server.url)
    np.testing.assert_allclose(asked(backend, 9), asked(here, 9), atol=1e-4)
    assert server.batches == [2, 4, 4, 1]
    assert context.counts["classified_remotely"] == 9


def test_answers_without_bytes_are_read_too(serve, remote, here):
    server = serve()
    server.as_json = True
    backend, context = remote(server.url)
    np.testing.assert_allclose(asked(backend), asked(here), atol=1e-4)
    assert context.counts["classified_remotely"] == 3


def test_a_server_that_is_not_there_costs_a_line(remote, here, caplog):
    url = f"http://127.0.0.1:{free_port()}/mask"
    backend, context = remote(url)
    for _ in range(3):
        np.testing.assert_array_equal(asked(backend), asked(here))
    assert context.counts == {"classified_remotely": 0, "classified_locally": 9}
    assert context.says["provider"] == f"CPUExecutionProvider, as {url} is not used"
    assert [record.getMessage() for record in caplog.records] == [
        f"{url}: Connection refused; face_mask.int8.onnx answers locally"
    ]


@pytest.mark.parametrize("host", ["none.invalid", "a..b"])
def test_a_host_that_nobody_knows_costs_a_line(remote, here, caplog, host):
    backend, _ = remote(f"http://{host}:8000/mask")
    np.testing.assert_array_equal(asked(backend), asked(here))
    until(lambda: caplog.records)
    assert "nothing is known of a host of that name" in caplog.records[0].getMessage()


def test_a_server_that_hangs_costs_one_deadline(serve, remote, here):
    server = serve()
    backend, context = remote(server.url, deadline_ms=2000.0)
    asked(backend)
    server.slow_s = 30.0
    begun_s = time.monotonic()
    np.testing.assert_array_equal(asked(backend), asked(here))
    assert 1.9 < time.monotonic() - begun_s < 15
    begun_s = time.monotonic()
    asked(backend)
    assert time.monotonic() - begun_s < 1.9  # nobody waits for it again
    assert context.counts == {"classified_remotely": 3, "classified_locally": 6}


def test_a_server_that_hangs_in_the_middle_of_an_answer_costs_one_deadline(remote, here):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients = []

        def half():
            while True:
                try:
                    clients.append(listener.accept()[0])
                except OSError:
                    return
                clients[-1].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

        threading.Thread(target=half, daemon=True).start()
        begun_s = time.monotonic()
        backend, context = remote(f"http://127.0.0.1:{listener.getsockname()[1]}/mask", deadline_ms=100.0)
        assert time.monotonic() - begun_s < 30  # and not for ever
        np.testing.assert_array_equal(asked(backend), asked(here))
        assert context.counts["classified_remotely"] == 0
        listener.shutdown(socket.SHUT_RDWR)
        for client in clients:
            client.close()


def test_it_is_found_again_and_asked_again(serve, remote, caplog):
    caplog.set_level(logging.INFO)
    first = serve()
    backend, context = remote(first.url)
    asked(backend)
    first.fails = True
    asked(backend)
    assert context.says["provider"].endswith("is not used")
    first.fails = False
    until(lambda: context.says["provider"] == first.url)
    asked(backend)
    assert context.counts == {"classified_remotely": 6, "classified_locally": 3}
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"{first.url} answers (0 faces classified locally before)",
        f"{first.url}: it answers 500 (Internal Server Error); face_mask.int8.onnx answers locally",
        f"{first.url} answers (3 faces classified locally before)",
    ]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [([1, 0, 2], "another model, whose logits differ"), ([0, 1], "it has other classes")],
)
def test_another_model_is_not_asked(serve, remote, here, model, tmp_path, columns, reason, caplog):
    server = serve(with_outputs(model, tmp_path / "other.onnx", columns))
    backend, context = remote(server.url)
    np.testing.assert_array_equal(asked(backend), asked(here))
    assert context.counts == {"classified_remotely": 0, "classified_locally": 3}
    assert set(server.batches) <= {2}
    [line] = [record.getMessage() for record in caplog.records]
    assert reason in line


def test_a_model_that_takes_no_pixels_is_refused_in_words(serve, remote, caplog):
    server = serve(SHIPPED_INT8)
    remote(server.url)
    [line] = [record.getMessage() for record in caplog.records]
    assert "its model takes FP32 [-1, 3, 112, 112], not UINT8 [-1, 112, 112, 3]" in line


def test_a_model_that_is_replaced_while_it_is_asked_mixes_no_labels(serve, remote, here, swapped, caplog):
    server = serve()
    backend, context = remote(server.url)
    asked(backend)
    server.load(swapped, "2")  # on the open connection: a new version in the repository
    for _ in range(3):
        np.testing.assert_allclose(asked(backend), asked(here), atol=1e-4)
    until(lambda: caplog.records)
    assert "another model" in caplog.records[0].getMessage()
    assert context.counts == {"classified_remotely": 3, "classified_locally": 9}


def test_a_server_that_comes_back_with_another_model_mixes_no_labels(serve, remote, here, swapped, model):
    first = serve()
    backend, context = remote(first.url)
    asked(backend)
    first.close()
    second = serve(swapped, port=first.port)
    for _ in range(3):
        np.testing.assert_allclose(asked(backend), asked(here), atol=1e-4)
    until(lambda: second.batches)
    asked(backend)
    assert context.counts["classified_remotely"] == 3
    assert set(second.batches) == {2}
    second.load(model, "2")
    until(lambda: context.says["provider"] == first.url)


def test_a_new_version_of_the_same_model_is_taken(serve, remote, model):
    server = serve()
    backend, context = remote(server.url)
    asked(backend)
    server.load(model, "2")
    asked(backend)  # the answer of a version that was not checked is not used
    until(lambda: len(server.batches) == 4)
    until(lambda: asked(backend) is not None and context.counts["classified_remotely"] > 3)
    assert context.says["provider"] == server.url


def test_a_server_without_bytes_is_told_from_one_that_fails(serve, remote, caplog):
    server = serve()
    server.takes_bytes = False
    remote(server.url)
    [line] = [record.getMessage() for record in caplog.records]
    assert "it may not know tensors as bytes (binary_tensor_data)" in line


def test_a_server_without_keep_alive_is_refused_in_words(serve, remote, caplog):
    server = serve()
    server.closes = True
    remote(server.url)
    [line] = [record.getMessage() for record in caplog.records]
    assert "HTTP with keep-alive is needed" in line


def test_the_token_goes_along_and_nowhere_else(serve, remote, caplog):
    server = serve()
    server.token = "open-sesame-1234"
    backend, context = remote(server.url, remote_token="open-sesame-1234")
    asked(backend)
    assert context.counts["classified_remotely"] == 3
    without, told = remote(server.url)
    asked(without)
    assert told.counts["classified_remotely"] == 0
    assert "401: classify.remote_token (who are you?)" in caplog.records[-1].getMessage()
    assert "sesame" not in caplog.text + str(context.says) + str(told.says)


def test_a_certificate_must_be_vouched_for(serve, remote, tmp_path, caplog):
    certificate(tmp_path)  # skips without openssl
    cert, key = tmp_path / "loop.pem", tmp_path / "loop.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=inference", "-addext", "subjectAltName=IP:127.0.0.1"]
    openssl("req", "-x509", *curve, "-keyout", key, "-out", cert, "-days", 2, *name)
    server = serve(tls=(cert, key))
    backend, context = remote(server.url, remote_ca=str(cert))
    asked(backend)
    assert context.counts["classified_remotely"] == 3
    doubted, told = remote(server.url)
    asked(doubted)
    assert told.counts["classified_remotely"] == 0
    assert "its certificate is not accepted" in caplog.records[-1].getMessage()
