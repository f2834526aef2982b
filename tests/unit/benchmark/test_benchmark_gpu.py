"""`benchmark --gpu`: what is missing is said in one line, and what cannot be run costs no other figure."""

import json

import numpy as np
import pytest

from benchmark import card as card_module
from benchmark import forms as forms_module
from benchmark.card import PEAKS, Card, Peak, operations, require_card
from benchmark.forms import CPU, TENSORRT, Form, FormFigures, Network, measure_forms, open_onnx
from benchmark.gpu import GpuFigures, PartFigures, measure_decode, measure_detect
from benchmark.report import Report, markdown, print_tables
from capture.chips import CHIPS, has_node, refusal
from configs.errors import InputError
from configs.schema import DetectConfig
from inference.backends import SHIPPED_MODEL
from inference.networks import PREPROCESSING, build_network

torch = pytest.importorskip("torch")
has_card = torch.cuda.is_available()
CARD = Card("cuda:0", "a card", 80.0, "580.1", "13.0", Peak(60.0, 900.0, 1800.0), "nowhere")


@pytest.mark.skipif(has_node("cuda"), reason="there is a driver")
def test_without_a_driver_one_line_says_what_is_missing():
    with pytest.raises(
        InputError, match=r"benchmark --gpu: NVIDIA's driver is not loaded.*pip install -e '\.\[bench\]'"
    ):
        require_card("cpu")


@pytest.mark.skipif(has_card, reason="there is a card")
def test_a_pytorch_without_cuda_and_one_without_a_card_are_told_apart(monkeypatch):
    monkeypatch.setattr(card_module, "has_node", lambda name: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(InputError, match=r"finds no CUDA devices: the driver must be one for CUDA 13\.0"):
        require_card("cuda:3")
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(InputError, match="is built without CUDA: pip install --force-reinstall torch torchvision"):
        require_card("cpu")


def test_operations_are_counted_as_data_sheets_do_and_the_network_is_left_as_it_was():
    """4.09e9 multiplications with their additions, as torchvision's table has ResNet50."""
    network = build_network("ResNet", 3)
    assert operations(network, 1, 3, 224, 224) == pytest.approx(2 * 4.09e9, rel=0.01)
    assert operations(network, 4, 3, 224, 224) == 4 * operations(network, 1, 3, 224, 224)
    assert next(network.parameters()).device.type == "cpu"


def test_a_share_is_of_the_peak_in_the_same_precision_and_of_an_unknown_card_there_is_none():
    assert CARD.share(30e12, "fp32") == 0.5
    assert CARD.share(90e12, "fp16") == 0.1
    assert Card("cuda:0", "another").share(30e12, "fp32") is None
    assert "NVIDIA H100 80GB HBM3 MIG 1g.10gb" not in PEAKS
    assert all(peak.fp32 < peak.fp16 < peak.int8 for peak in PEAKS.values())


def network_of(path):
    crops = [np.full((64, 64, 3), 90, np.uint8)]
    return Network("shipped", path.with_suffix(".pth"), path.parent, PREPROCESSING["FaceEnsemble"], crops, 4e8)


def test_what_cannot_be_run_says_why_and_the_others_are_measured(monkeypatch):
    def broken():
        raise RuntimeError("no kernel for it\nand a page more")

    def works():
        return lambda faces: faces.sum(axis=(1, 2, 3))

    stubs = [Form("A", "fp16", broken), Form("B", "fp16", works), Form("C", "fp32", works, on_card=False)]
    monkeypatch.setattr(forms_module, "forms", lambda network, card, most: stubs)
    monkeypatch.setattr(forms_module, "LEAST_S", 0.001)
    first, second, third = measure_forms(network_of(SHIPPED_MODEL), CARD, (1, 64))
    assert (first.why_not, first.faces_per_s) == ("no kernel for it", None)
    assert set(second.ms_per_face) == {1, 64}
    assert second.share == pytest.approx(second.faces_per_s * 4e8 / 900e12)
    assert (third.share, set(third.ms_per_face)) == (None, {1})


def test_an_onnx_file_runs_on_the_provider_that_is_asked_for_or_not_at_all():
    run = open_onnx(network_of(SHIPPED_MODEL), Card("cpu", "none"), 2, SHIPPED_MODEL, CPU)
    assert run(np.zeros((2, 3, 112, 112), np.float32)).shape == (2, 3)
    import onnxruntime

    if TENSORRT not in onnxruntime.get_available_providers():
        with pytest.raises(InputError, match="built without TensorRT"):
            open_onnx(network_of(SHIPPED_MODEL), CARD, 2, SHIPPED_MODEL, TENSORRT)


def test_decoding_is_measured_on_the_cpu_and_on_the_chips_that_are_there(clip):
    parts = list(measure_decode(clip(count=10)))
    assert [part.what for part in parts] == ["the CPU, one thread", *(chip.name for chip in CHIPS.values())]
    assert parts[0].per_s == pytest.approx(1000 / parts[0].ms)
    assert [part.why_not for part in parts[1:]] == [refusal(name) for name in CHIPS]


@pytest.mark.skipif(has_card, reason="there is a card")
def test_detectors_are_measured_on_the_cpu_and_the_card():
    parts = list(measure_detect([DetectConfig(detector="maskface"), DetectConfig()], CARD))
    assert [part.per_s is not None for part in parts] == 2 * [True, True, False, False]
    assert parts[2].why_not.startswith("detect.device cuda:0: ")
    assert "haar runs on the CPU only" in parts[6].why_not


def figures(card):
    forms = [
        FormFigures(
            network="ResNet",
            what="PyTorch",
            precision="fp16",
            ms_per_face={1: 2.0, 8: 0.5},
            faces_per_s=2e3,
            share=0.02,
        ),
        FormFigures(network="ResNet", what="ONNX Runtime, TensorRT", precision="int8", why_not="no TensorRT"),
    ]
    decode = [PartFigures(what="NVDEC", ms=1.0, per_s=1000.0), PartFigures(what="Quick Sync", why_not="no driver")]
    detect = [PartFigures(what="maskface", ms=2.0, per_s=500.0, share=0.001)]
    return GpuFigures(
        card=card, decode=decode, detect=detect, classify=forms, streams_with="all on it", streams_why_not="it ended"
    )


def test_the_report_has_all_parts_and_says_where_a_share_is_left_out(capsys):
    report = Report(clip="scene", gpu=figures(CARD))
    assert json.loads(json.dumps(report.as_json()))["gpu"]["classify"][0]["ms_per_face"] == {"1": 2.0, "8": 0.5}
    text = markdown(report)
    assert (
        "| ResNet, PyTorch, fp16 | 2000 faces/s | ms a face in batches of 1 / 8: 2 / 0.5; 2.0% of the card's peak |"
        in text
    )
    assert "| ResNet, ONNX Runtime, TensorRT, int8 | - | no TensorRT |" in text
    assert "| Quick Sync | - | no driver |" in text
    assert "60 / 900 / 1800 T operations/s in fp32 / fp16 / int8 (nowhere)" in text
    assert "that of this card is not in benchmark/card.py" in markdown(Report(gpu=figures(Card("cuda:0", "new"))))
    print_tables(report)
    assert "it ended" in capsys.readouterr().out


@pytest.mark.skipif(not has_card, reason="no CUDA device")
def test_the_card_that_is_here_classifies(tmp_path):
    from benchmark.clip import generate
    from benchmark.forms import written

    card = require_card("cuda")
    network = written("FaceEnsemble", generate(tmp_path, (320, 240), 4), tmp_path)
    found = {(one.what, one.precision): one for one in measure_forms(network, card, (1, 8))}
    assert found["PyTorch", "fp32"].faces_per_s > 0
    assert found["PyTorch", "fp16"].faces_per_s > 0
