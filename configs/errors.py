"""The one error that is the user's to mend, shown as one line and never as a traceback."""


class InputError(Exception):
    """Something that the user gave cannot be used.

    The text is one line: it names the culprit (file, option, value) and says what to do next. A stage
    that raises it is not restarted: trying again would fail again.
    """


class Failure(Exception):
    """A run cannot go on, though nothing that the user gave is wrong; the text says why, in one line."""


class Stopped(Exception):
    """The user stopped the command by Ctrl-C; the text says what is left and how to go on, in one line."""
