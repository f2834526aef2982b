"""Boxes as corners: how much they overlap, as arrays and as tensors."""

import numpy as np
import pytest

from inference.boxes import iou


def test_boxes_that_do_not_touch_do_not_overlap():
    apart = np.array([[0, 0, 4, 4], [4, 0, 8, 4]], np.float32)
    assert iou(apart[:, None], apart[None]).tolist() == [[1, 0], [0, 1]]


def test_a_box_without_a_size_overlaps_nothing():
    assert iou(np.array([3.0, 3, 3, 3]), np.array([3.0, 3, 3, 3])) == 0


def test_tensors_overlap_as_arrays_do_and_give_a_gradient():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (2, 20, 2))
    boxes, others = np.concatenate([low, low + rng.uniform(1, 40, low.shape)], axis=2).astype(np.float32)
    tensor = torch.from_numpy(boxes).requires_grad_()
    overlap = iou(tensor[:, None], torch.from_numpy(others)[None])
    np.testing.assert_allclose(overlap.detach().numpy(), iou(boxes[:, None], others[None]), rtol=1e-6)
    overlap.sum().backward()
    assert tensor.grad.abs().sum() > 0
