"""What the options of a training mean, also as the original project's README writes them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs

from configs.errors import InputError
from inference.networks import PREPROCESSING, Backbone, RetrainMode
from inference.preprocess import Preprocessing
from train.classifier.batches import Balance

log = logging.getLogger("train")

SPLIT_OPTIONS = ("--split_data", "--split-data")


def learning_layers(backbone: Backbone, weights: str, resnet_retrain_mode: RetrainMode | None) -> RetrainMode:
    """Which layers learn: some of a ResNet that starts from trained weights, else all.

    BasicCNN takes either mode and learns with all layers, as in the original program.
    """
    if backbone.startswith("ResNet") and weights != "none":
        return resnet_retrain_mode or "not_retrain"
    if resnet_retrain_mode is not None and backbone != "BasicCNN":
        log.warning("all layers learn: --resnet-retrain-mode is for a ResNet that starts from trained weights")
    return "all"


def preprocessing_of(backbone: Backbone, size: int | None) -> Preprocessing:
    """How faces are prepared for the network. Raises InputError for a size that it cannot have."""
    usual = PREPROCESSING[backbone]
    if backbone == "BasicCNN" and size not in (None, usual.size):
        raise InputError(f"--size {size}: BasicCNN takes faces of {usual.size} px only")
    return structs.replace(usual, size=size or usual.size)


def chosen_balance(balance: Balance | None, shuffled: bool) -> Balance:
    """How rare classes are made up for. Without shuffling the pictures come in their order, each once."""
    if balance == "sampling" and not shuffled:
        raise InputError("--balance sampling draws pictures at random; leave out --shuffle False, or use weights")
    return balance or ("sampling" if shuffled else "none")


def plain_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the record of the run holds them, paths as texts.

    Raises InputError for a path that is no UTF-8, which JSON cannot hold.
    """
    try:
        return msgspec.json.decode(msgspec.json.encode(dict(options), enc_hook=str))
    except UnicodeEncodeError as error:
        raise InputError(f"{error.object!a}: not UTF-8, so the record of the run cannot name it: rename it") from None


def plain_shares(arguments: Sequence[str]) -> list[str]:
    """The arguments with the shares of `--split_data` as three plain words, whether in brackets, in quotes or neither.

    What does not give three words is left as it is: the parser says what is wrong with it.

    >>> plain_shares(["faces", "--split_data", "[0.70,", "0.20,", "0.10]", "--epochs", "2"])
    ['faces', '--split_data', '0.70', '0.20', '0.10', '--epochs', '2']
    >>> plain_shares(["--split_data=[0.7,0.2,0.1]"])
    ['--split_data', '0.7', '0.2', '0.1']
    """
    words = list(arguments)
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option not in SPLIT_OPTIONS:
            continue
        rest = [value, *words[place + 1 :]] if equals else words[place + 1 :]
        bracketed = bool(rest) and rest[0].startswith("[")
        lengths = [n for n, share in enumerate(rest, 1) if share.endswith("]")][:1] if bracketed else (1, 2, 3)
        for taken in lengths:
            shares = " ".join(rest[:taken]).strip("[] ").replace(",", " ").split()
            if len(shares) == 3:
                return [*words[:place], option, *shares, *rest[taken:]]
    return words
