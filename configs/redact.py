"""Hides passwords of URLs in anything that is printed, logged or written."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s\"]+@", re.IGNORECASE)
_QUERY = re.compile(
    r"(?<=[?&/;])((?:user(?:name)?|pass(?:word|wd)?|pwd|token|secret|key|auth)=)[^&\s\"]+", re.IGNORECASE
)


def redact(text: str) -> str:
    """The text without the user and password of any URL in it.

    Greedy up to the last @ of a word, because people write passwords with @ and / in them without escaping:
    what follows a later @ is rather lost than part of a password shown. Cheap cameras take both in the query or path.

    >>> redact("cannot open rtsp://admin:p@ss/word@door.local:554/ch0: 401")
    'cannot open rtsp://***@door.local:554/ch0: 401'
    >>> redact("http://door.local/video.cgi?user=admin&pwd=1234&size=2")
    'http://door.local/video.cgi?user=***&pwd=***&size=2'
    """
    return _QUERY.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", text))
