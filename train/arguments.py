"""The command line as the original project's README writes it, brought into the form that is parsed."""

from __future__ import annotations

from collections.abc import Sequence

SPLIT_OPTIONS = ("--split_data", "--split-data")


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
