"""A real Triton in the model's place: what a call costs beside the model here, and its faults in the real program.

`MASKSTREAM_TRITON_PYTHON` names an interpreter that has nvidia-pytriton and onnxruntime; nothing is installed here.
"""

import os
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from program import Run
from served_models import shipped, with_outputs
from v2_server import ServerProcess

from configs.schema import ClassifyConfig
from inference.backends import open_backend
from inference.backends.remote_backend import RemoteBackend
from transport.stage import StageContext

pytestmark = pytest.mark.fleet
pytest.importorskip("onnx")

HERE = Path(__file__).parent
SHARED = Path("/dev/shm")
MOST = {1: 1.8, 8: 1.2, 32: 1.1}  # times as long as in the process, by faces in a batch
PARSED = """
import sys
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
config = text_format.Parse(open(sys.argv[1]).read(), model_config_pb2.ModelConfig())
print(config.name, config.max_batch_size, config.HasField("dynamic_batching"), list(config.input[0].dims))
"""


@pytest.fixture(scope="module")
def python():
    interpreter = os.environ.get("MASKSTREAM_TRITON_PYTHON")
    if not interpreter:
        pytest.skip("MASKSTREAM_TRITON_PYTHON names no interpreter with nvidia-pytriton")
    return interpreter


@pytest.fixture
def model(tmp_path):
    return shipped(tmp_path)


@pytest.fixture
def triton(python, tmp_path):
    process, before = ServerProcess(tmp_path, HERE / "triton_server.py", python), set(SHARED.iterdir())
    yield process
    process.kill()
    for left in set(SHARED.glob("triton_python_backend_*")) - before:
        left.unlink()


def test_tritons_own_parser_reads_the_configuration(python, model):
    config = model.parents[1] / "config.pbtxt"
    done = subprocess.run([python, "-c", PARSED, str(config)], capture_output=True, text=True)
    assert done.stdout == "mask 64 True [112, 112, 3]\n", done.stderr


def test_a_call_costs_little_beside_the_model_itself(triton, model):
    triton.start(model)
    config = ClassifyConfig(model=str(model), remote=triton.url, remote_deadline_ms=5000, threads=1)
    here, context = open_backend(config), StageContext()
    remote = RemoteBackend(model, config, here, context)
    size, rng = here.preprocessing.size, np.random.default_rng(0)
    ratios = {}
    for count in MOST:
        faces = rng.integers(0, 256, (count, size, size, 3), np.uint8)
        took_ms = {"here": [], "triton": []}
        for _ in range(60 if count < 32 else 25):  # in turns: the machine is another one a second later
            for name, backend in (("here", here), ("triton", remote)):
                begun_s = time.perf_counter()
                backend.logits(faces)
                took_ms[name].append((time.perf_counter() - begun_s) * 1e3)
        medians = {name: statistics.median(took[5:]) for name, took in took_ms.items()}
        ratios[count] = medians["triton"] / medians["here"]
        print(f"\nbatch {count}: here {medians['here']:.1f} ms, Triton {medians['triton']:.1f} ms, {ratios[count]:.2f}")
    remote.close()
    assert context.counts["classified_locally"] == 0
    assert all(ratios[count] <= most for count, most in MOST.items()), ratios


def test_its_faults_cost_no_frame_and_no_age(triton, model, tmp_path):
    shutil.copytree(model.parents[1], tmp_path / "other" / "mask")
    swapped = with_outputs(model, tmp_path / "other" / "mask" / "1" / "model.onnx", [1, 0, 2])
    triton.start(model)
    (tmp_path / "run").mkdir()
    two = ["--source", "demo", "--source", "demo", "--realtime", "--loop", "--sink", "null", "--json"]
    two += ["--set", f"classify.model={model}", "--set", f"classify.remote={triton.url}"]
    run = Run(tmp_path / "run", two)  # not the fixture: a Triton that is killed leaves shared memory behind
    try:
        run.until(lambda: len(triton.asked(0)) > 20)
        triton.signal(signal.SIGSTOP)
        run.until(lambda: f"{triton.url}: no answer within 300 ms" in run.stderr)
        until_s = time.monotonic() + 5
        run.until(lambda: time.monotonic() > until_s)
        triton.signal(signal.SIGCONT)  # some then die of their own locks (2.51): whether it answers again is Triton's
        triton.kill()
        triton.start(model)
        run.until(lambda: run.stderr.count(f"{triton.url} answers") == 2)
        run.until(lambda: len(triton.asked(1)) > 20)
        triton.kill()
        run.until(lambda: f"{triton.url}: Connection refused" in run.stderr)
        triton.start(swapped)
        run.until(lambda: "it holds another model" in run.stderr)
        until_s = time.monotonic() + 5
        run.until(lambda: time.monotonic() > until_s)
        run.signal(signal.SIGINT)
        assert run.wait() == 0
    finally:
        run.kill()
    for name, ledger in run.report["streams"].items():
        print(f"\n{name}: {ledger}")
        assert ledger["captured"] == ledger["shown"] + sum(ledger["dropped"].values())
        assert set(ledger["dropped"]) <= {"superseded", "stopped"}, ledger["dropped"]
        assert ledger["age_ms"]["p99"] < 100
    print(run.report["stages"]["classify"])
    assert set(triton.asked(2)) == {2}  # the check, and not one face of a frame
