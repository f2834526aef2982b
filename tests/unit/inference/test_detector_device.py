"""Where a detector runs: where it is asked to, or the run is refused in one line."""

import cv2
import numpy as np
import pytest

from capture.chips import has_node
from capture.demo import DemoScene
from configs.errors import InputError
from configs.schema import DetectConfig, PipelineConfig, SourceConfig
from inference.detectors import detector_kind, open_candidate_detector, open_detector
from inference.detectors.yunet import dnn_device
from pipeline import checked

HAS_DNN_CUDA = cv2.dnn.DNN_TARGET_CUDA in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA)


def has_onnx_cuda():
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_haar_on_cuda_is_refused_before_the_run(verify, device):
    detect = DetectConfig(detector="haar", device=device, verify=verify)
    with pytest.raises(InputError, match=rf"detect\.device {device}: haar runs on the CPU only: .*--detector maskface"):
        checked(PipelineConfig(sources=(SourceConfig(source="demo"),), detect=detect))


@pytest.mark.parametrize("detector", ["haar", "maskface", "yunet"])
def test_an_unknown_device_is_refused_by_the_options_own_name(detector):
    with pytest.raises(InputError, match=r"detect\.device tpu: known are cpu, cuda, cuda:N and auto"):
        detector_kind(DetectConfig(detector=detector, device="tpu"))


@pytest.mark.skipif(has_onnx_cuda(), reason="this ONNX Runtime has CUDA")
def test_maskface_on_cuda_without_it_is_an_error_and_not_the_cpu():
    with pytest.raises(InputError, match=r"detect\.device cuda: .*onnxruntime-gpu.*; or use detect\.device cpu"):
        open_detector(DetectConfig(detector="maskface", device="cuda"))
    with pytest.raises(InputError, match=r"detect\.device cuda: "):
        open_candidate_detector(DetectConfig(detector="maskface", device="cuda"))


@pytest.mark.skipif(HAS_DNN_CUDA, reason="this OpenCV has CUDA")
def test_yunet_on_cuda_without_it_is_an_error_and_not_the_cpu(tmp_path):
    (tmp_path / "any.onnx").touch()
    with pytest.raises(InputError, match=r"detect\.device cuda: this OpenCV is built without CUDA"):
        open_detector(DetectConfig(detector="yunet", model=str(tmp_path / "any.onnx"), device="cuda"))
    assert dnn_device("auto") == dnn_device("cpu") == (cv2.dnn.DNN_BACKEND_DEFAULT, cv2.dnn.DNN_TARGET_CPU)


@pytest.mark.skipif(not HAS_DNN_CUDA, reason="this OpenCV has no CUDA")
def test_yunet_takes_the_first_card_only():
    assert dnn_device("cuda") == dnn_device("auto") == (cv2.dnn.DNN_BACKEND_CUDA, cv2.dnn.DNN_TARGET_CUDA)
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES=2"):
        dnn_device("cuda:2")


@pytest.mark.skipif(has_onnx_cuda(), reason="this ONNX Runtime has CUDA")
def test_auto_is_the_cpu_where_there_is_nothing_else():
    usual, auto = (open_detector(DetectConfig(detector="maskface", device=device)) for device in ("cpu", "auto"))
    picture = DemoScene().picture(340)
    assert auto.name == usual.name
    assert auto.find(picture) == usual.find(picture)
    assert auto.is_as_measured
    assert open_detector(DetectConfig(device="auto")).name == open_detector(DetectConfig()).name


@pytest.mark.skipif(not (has_onnx_cuda() and has_node("cuda")), reason="no CUDA for ONNX Runtime")
def test_maskface_finds_on_cuda_what_it_finds_on_the_cpu():
    cpu, cuda = (open_detector(DetectConfig(detector="maskface", device=device)) for device in ("cpu", "cuda"))
    assert cuda.name == f"{cpu.name} on CUDA"
    for index in (25, 340, 370):
        picture = DemoScene().picture(index)
        found, expected = ([(box.x, box.y, box.width, box.height) for box in one.find(picture)] for one in (cuda, cpu))
        assert len(found) == len(expected)
        assert np.allclose(found, expected, atol=0.5)
