"""Shared memory as a simulated life sees it: before each write somebody else may have the turn, or all may be over."""

from __future__ import annotations

from transport.pool import Pool


class Death(BaseException):
    """SIGKILL: no handler of the protocol catches it, and nothing that it does on the way out reaches the memory."""


class Watched:
    """A view of shared memory: before each write others have their turn; `torn`: in the middle of a look, too."""

    def __init__(self, view, turn, torn=False, wrote=None):
        self.view, self.turn, self.torn, self.wrote = view, turn, torn, wrote

    def __getitem__(self, index):
        return self.view[index]

    def __setitem__(self, index, value):
        self.turn()
        self.view[index] = value
        if self.wrote is not None:
            self.wrote(index, value)

    def __len__(self):
        return len(self.view)

    def __iter__(self):
        return iter(self.tolist())

    def tolist(self):
        if not self.torn:
            return self.view.tolist()
        half = len(self.view) // 2
        first = self.view[:half].tolist()
        self.turn()
        return first + self.view[half:].tolist()


class WatchedNotes(Watched):
    """Notes are copied, not stored: others come in the middle of a copy, too."""

    def __setitem__(self, index, value):
        self.turn()
        half = len(value) // 2
        self.view[index.start : index.start + half] = value[:half]
        self.turn()
        self.view[index.start + half : index.stop] = value[half:]


class OncePool(Pool):
    """May be closed again: by the death of the life that closed it."""

    is_closed = False

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            super().close()
