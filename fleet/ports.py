"""A port on this host for the page of each shard: as before where that can be, else the next one that is free."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping

from configs.errors import InputError

LAST = 65535


def ports(
    shards: Iterable[str], first: int, before: Mapping[str, int], is_free: Callable[[int], bool]
) -> dict[str, int]:
    """The port of each shard, from `first` upward; `before` has those that shards had, which they keep.

    Raises InputError where there are not enough.

    >>> ports(["a", "b", "c"], 8080, {"b": 8080}, lambda port: port != 8082)
    {'a': 8081, 'b': 8080, 'c': 8083}
    """
    names = list(shards)
    found = {name: before[name] for name in names if name in before}
    taken, port = set(before.values()), first
    for name in names:
        if name in found:
            continue
        while port <= LAST and (port in taken or not is_free(port)):
            port += 1
        if port > LAST:
            raise InputError(f"web.port {first}: no free port above it for the page of {name}: give a lower one")
        found[name] = port
        taken.add(port)
    return {name: found[name] for name in names}


def is_free(port: int) -> bool:
    """Whether nobody listens there on this host."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was left a moment ago is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
