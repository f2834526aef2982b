"""Writes a verifier as an ONNX file that says what it is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch
from torch import nn

from inference.backends.session import METADATA_KEY
from inference.detectors.verifier import VerifierInfo
from train.verifier.network import VerifierNetwork

OPSET = 20


class WithScores(nn.Module):
    """The network with scores in 0..1 instead of logits."""

    def __init__(self, network: VerifierNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, moves = self.network(windows)
        return logits.sigmoid(), moves


def write_verifier(network: VerifierNetwork, score: float, path: Path) -> None:
    """One file as inference.detectors.verifier.Verifier reads it."""
    import onnx

    torch.onnx.export(
        WithScores(network).eval(),
        (
            torch.zeros(2, network.side_px, network.side_px, 3, dtype=torch.uint8),
        ),  # a batch of 1 would silently fix the batch at 1
        path,
        input_names=["windows"],
        output_names=["scores", "moves"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
    )
    content = onnx.load(path)
    for part in (*content.graph.node, *content.graph.value_info, *content.graph.initializer):
        part.ClearField("metadata_props")  # stack traces: folders of the machine that exported it
    info = VerifierInfo("verifier", "verifier", score)
    onnx.helper.set_model_props(content, {METADATA_KEY: msgspec.json.encode(info).decode()})
    onnx.save(content, path)
