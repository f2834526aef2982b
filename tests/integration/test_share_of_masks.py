"""The share of masks in photographs, adjusted by errors that were measured in other ones."""

import cv2
import pytest
from program import ROOT

from configs.schema import ClassifyConfig, DetectConfig
from inference.backends import open_backend
from inference.detectors import open_detector
from share.errors import errors_of_shipped
from train.data.photos import read_photos
from train.score.mask_shares import adjusted_share, mask_shares
from train.score.sightings import by_source, sight

SCENES = ROOT / ".." / "shared" / "data" / "scenes"
MOST_OFF = 0.03  # of a share


@pytest.mark.parametrize(("detector", "width"), [("haar", 320), ("haar", 640), ("maskface", 640), ("maskface", 1280)])
def test_the_adjusted_share_is_near_the_true_one_and_its_interval_holds_it(detector, width):
    """Of 125 photographs, and of each of their two sources; the errors are of 247 others."""
    if not SCENES.is_dir():
        pytest.skip("needs the scenes of shared/data")
    cv2.setNumThreads(1)
    opened, classifier = open_detector(DetectConfig(detector=detector, width=width)), open_backend(ClassifyConfig())
    sightings = [sight(photo, opened, classifier) for photo in read_photos(SCENES)]
    for name, ones in {"all": sightings, **by_source(sightings)}.items():
        true, adjusted = mask_shares(ones)["true_mask_share"], adjusted_share(ones, errors_of_shipped(detector, width))
        assert adjusted.adjusted == pytest.approx(true, abs=MOST_OFF), name
        assert adjusted.low < true < adjusted.high, name
