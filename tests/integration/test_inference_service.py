"""The real program with an inference server as a process: frozen, killed, replaced. No frame waits or is lost."""

import signal
import time

import pytest
from served_models import shipped, with_outputs
from v2_server import ServerProcess

pytest.importorskip("onnx")


@pytest.fixture
def server(tmp_path):
    process = ServerProcess(tmp_path)
    yield process
    process.kill()


def test_frozen_killed_and_replaced_by_another_model_it_costs_no_frame(maskstream, server, tmp_path):
    model = shipped(tmp_path)
    swapped = with_outputs(model, tmp_path / "swapped.onnx", [1, 0, 2])
    server.start(model)
    two = ("--source", "demo", "--source", "demo", "--realtime", "--loop")
    # a deadline that no frame may have waited for; faces are asked about often
    options = (f"classify.remote={server.url}", "classify.remote_deadline_ms=2000", "classify.refresh_ms=100")
    run = maskstream(*two, "--sink", "jsonl:o.jsonl", "--json", *(word for each in options for word in ("--set", each)))
    run.until(lambda: len(server.asked(0)) > 20)

    server.signal(signal.SIGSTOP)
    frozen_s = time.monotonic()
    run.until(lambda: f"{server.url}: no answer within 2000 ms; face_mask.int8.onnx answers locally" in run.stderr)
    before = len(run.lines())
    run.until(lambda: time.monotonic() > frozen_s + 5 and len(run.lines()) > before + 30)
    server.signal(signal.SIGCONT)
    run.until(lambda: run.stderr.count(f"{server.url} answers") == 2)

    server.kill()
    run.until(lambda: f"{server.url}: Connection refused" in run.stderr)
    server.start(swapped)
    run.until(lambda: "it holds another model, whose logits differ from ours by" in run.stderr)
    before = len(run.lines())
    run.until(lambda: len(run.lines()) > before + 60)
    run.signal(signal.SIGINT)
    assert run.wait() == 0

    report = run.report
    for ledger in report["streams"].values():
        assert ledger["captured"] == ledger["shown"] + sum(ledger["dropped"].values())
        assert set(ledger["dropped"]) <= {"superseded", "stopped"}, ledger["dropped"]
        assert ledger["age_ms"]["p99"] < 1000
    counts = report["stages"]["classify"]
    assert counts["restarts"] == 0
    assert counts["classified_remotely"] >= 20
    assert counts["classified_locally"] >= 10
    assert counts["classified_remotely"] + counts["classified_locally"] >= counts["classified"]
    assert set(server.asked(1)) == {2}  # the check, and not one face of a frame
    assert report["provider"] == f"CPUExecutionProvider, as {server.url} is not used"


def test_a_film_gets_the_same_labels_here_there_and_while_the_server_is_away(maskstream, server, tmp_path):
    server.start(shipped(tmp_path))

    def said(*options):
        run = maskstream("--source", "demo", "--sink", "jsonl:o.jsonl", "--json", *options)
        assert run.wait() == 0, run.stderr
        counts = run.report["stages"]["classify"]
        faces = [face for line in run.lines() for face in line["faces"]]
        return counts, [face["label"] for face in faces], run

    _, here, _ = said()
    counts, there, run = said("--set", f"classify.remote={server.url}")
    assert there == here
    assert counts["classified_remotely"] == counts["classified"] > 20
    assert run.report["provider"] == server.url
    server.kill()
    counts, away, run = said("--set", f"classify.remote={server.url}")
    assert away == here
    assert counts["classified_locally"] == counts["classified"]
    assert run.stderr.count(f"{server.url}: Connection refused") == 1


def test_a_token_is_shown_nowhere(maskstream, server, tmp_path):
    (tmp_path / "token").write_text("inference-s3cret\n")
    given = (f"classify.remote={server.url}", f"classify.remote_token=file:{tmp_path}/token")
    options = [word for each in given for word in ("--set", each)]
    printed = maskstream("--source", "demo", *options, "--print-config")
    assert printed.wait() == 0
    assert f"remote_token: file:{tmp_path}/token" in printed.stdout
    plain = maskstream("--source", "demo", "--set", "classify.remote_token=inference-s3cret", "--print-config")
    assert plain.wait() == 0
    assert "remote_token: '***'" in plain.stdout
    run = maskstream("--source", "demo", "--sink", "null", "--json", *options)
    assert run.wait() == 0, run.stderr
    assert "s3cret" not in printed.stdout + plain.stdout + run.stdout + run.stderr


def test_an_address_that_is_none_ends_the_run_with_one_line(maskstream):
    run = maskstream("--source", "demo", "--sink", "null", "--set", "classify.remote=gpu:8000")
    assert run.wait() == 1
    assert run.stderr == "maskstream: error: classify.remote gpu:8000: is no address: write http://HOST:8000/MODEL\n"
