"""The loss of the detector: which places stand for which face, and how far off their scores and boxes are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.boxes import iou

if TYPE_CHECKING:
    import torch

    from train.detector.batches import Batch

CENTRE = 2.5  # strides from the middle of a face within which a place may stand for it
MOST_PLACES = 10  # that stand for one face
IOU_COST = 3.0  # what a bad box costs beside a bad score, when places are chosen
OUTSIDE_COST = 1e4  # of a place that is not both in the box and near its middle: only if there is no other
BOX_WEIGHT = 2.0  # of the loss of the boxes beside that of the scores


class Targets:
    """The faces of a batch on a device: `boxes` (B, G, 4), `real` (B, G) where they are some, `unsure` (B, U, 4)."""

    def __init__(self, batch: Batch, device: torch.device) -> None:
        import torch

        self.boxes, self.unsure = (torch.from_numpy(part).to(device) for part in (batch.boxes, batch.unsure))
        self.real = (self.boxes[..., 2:] > self.boxes[..., :2]).all(dim=-1)


def detection_loss(
    logits: torch.Tensor, boxes: torch.Tensor, places: tuple[torch.Tensor, torch.Tensor], targets: Targets
) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses of scores and of boxes for logits (B, N) and boxes (B, N, 4) of the places.

    A score is to be the IoU of its box with the face that the place stands for, elsewhere 0 (quality focal loss, Li et
    al., 2020); the loss of a box is its EIoU (Zhang et al., 2021). Where a face may be, nothing is asked.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    chosen = assign(logits.detach(), boxes.detach(), places, targets)
    taken = chosen >= 0
    truth = targets.boxes.gather(1, chosen.clamp(min=0)[..., None].expand(-1, -1, 4))
    found, wanted = boxes[taken], truth[taken]
    quality = torch.zeros_like(logits)
    quality[taken] = iou(found.detach(), wanted)
    weight = (logits.detach().sigmoid() - quality).abs().square()
    asked = taken | ~within(places[0], targets.unsure).any(dim=1)
    score_loss = binary_cross_entropy_with_logits(logits, quality, reduction="none") * weight * asked
    count = taken.sum().clamp(min=1)
    return score_loss.sum() / count, BOX_WEIGHT * eiou_loss(found, wanted).sum() / count


def assign(
    logits: torch.Tensor, boxes: torch.Tensor, places: tuple[torch.Tensor, torch.Tensor], targets: Targets
) -> torch.Tensor:
    """For each place (B, N) the number of the face that it stands for, or -1: SimOTA of YOLOX (Ge et al., 2021).

    Of the places in or near a face those are chosen whose score and box cost least; as many as their boxes fit well.
    """
    import torch
    from torch.nn.functional import logsigmoid

    middles, strides = places
    near = (middles - centres(targets.boxes)[:, :, None]).abs().amax(dim=-1) < CENTRE * strides  # (B, G, N)
    inside = within(middles, targets.boxes)
    candidate = (near | inside) & targets.real[..., None]
    fit = iou(boxes[:, None], targets.boxes[:, :, None]) * candidate
    cost = -logsigmoid(logits)[:, None] - IOU_COST * (fit + 1e-8).log() + OUTSIDE_COST * ~(near & inside)
    cost = cost.masked_fill(~candidate, torch.inf)
    counts = fit.topk(min(MOST_PLACES, fit.shape[-1]), dim=-1).values.sum(dim=-1).int().clamp(min=1)  # (B, G)
    cheapest = cost.topk(MOST_PLACES, dim=-1, largest=False)
    chosen = torch.arange(MOST_PLACES, device=cost.device) < counts[..., None]
    chosen &= cheapest.values < torch.inf
    matched = torch.zeros_like(candidate).scatter_(2, cheapest.indices, chosen)
    lowest = cost.masked_fill(~matched, torch.inf).min(dim=1)  # of the faces that want the same place
    return torch.where(lowest.values < torch.inf, lowest.indices, -1)


def centres(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def within(middles: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Which of the places (N, 2) lie in which of the boxes (B, G, 4): (B, G, N)."""
    x, y = middles[:, 0], middles[:, 1]
    x1, y1, x2, y2 = boxes[..., None].unbind(dim=2)
    return (x > x1) & (x < x2) & (y > y1) & (y < y2)


def eiou_loss(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """1 - IoU, and how far middles, widths and heights are apart within the frame around both: (N,)."""
    import torch

    frame = torch.maximum(boxes[:, 2:], others[:, 2:]) - torch.minimum(boxes[:, :2], others[:, :2])
    square = frame.square().clamp(min=1e-6)
    apart = (centres(boxes) - centres(others)).square().sum(dim=1) / square.sum(dim=1)
    sizes = (boxes[:, 2:] - boxes[:, :2]) - (others[:, 2:] - others[:, :2])
    return 1 - iou(boxes, others) + apart + (sizes.square() / square).sum(dim=1)
