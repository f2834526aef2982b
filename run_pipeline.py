"""Start the pipeline: `python run_pipeline.py --source 0`; `maskstream` is the same program with all commands."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

# Ctrl-C while modules are loaded (seconds on a busy box) ends the process without a traceback
if (ON_INTERRUPT := signal.getsignal(signal.SIGINT)) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from configs.imported import described, imported, name_of, named

ABOUT = "Live face-mask video pipeline: capture, detect, classify, overlay."
COMMANDS = (  # where they are: only the one that runs is imported, all of them together take a second
    "pipeline:run",
    "capture.init_command:init",
    "capture.check_command:check",
    "web.commands:streams_command",
    "fleet.shard:shard",
    "events.commands:events",
    "events.commands:report",
    "doctor.command:doctor",
    "configs.docs_command:docs",
    "classify_pictures:classify_command",
    "train.__main__:train",
    "train.evaluate:evaluate",
    "train.detector.__main__:train_detector_command",
    "train.evaluate_detector:evaluate_detector",
    "train.evaluate_tracks:evaluate_tracks",
    "train.results:results",
    "export.__main__:export",
    "benchmark.__main__:benchmark",
    "benchmark.chaos:chaos",
    "fleet.command:fleet_command",
)
# What the workers of a run import, in the order in which they need it; one that needs more imports it itself.
PREPARED = (
    "transport.worker",
    "onnxruntime",
    "inference.classify",
    "inference.detect",
    "overlay.stage",
    "capture.stage",
)
COMPLETE = "_MASKSTREAM_COMPLETE"  # set by what `maskstream --install-completion` puts into a shell's start
ROOMS = (
    "capture",
    "doctor",
    "events",
    "export",
    "fleet",
    "inference",
    "overlay",
    "recordings",
    "run",
    "share",
    "tell",
    "train",
    "transport",
    "web",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """`maskstream`: all commands."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _check_install()
    completed = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS") or ""
    asked = COMPLETE in os.environ  # a shell asks what may come next: it waits, so only what was typed is imported
    if not words and not asked:
        from tell.welcome import welcome

        if not (words := welcome()):
            return
    typed = completed.split()[1:] if asked else words
    wanted = next((word for word in typed if not word.startswith("-")), "")
    if wanted == "run" and not asked and not {"-h", "--help", "--print-config"} & set(words):
        from configs.standard_streams import fill_closed
        from run.launcher import prepare

        fill_closed()
        prepare(PREPARED)  # before all else: it takes as long as all else that comes before the first worker
    from configs.command import refuse, run_command  # brings typer, 50 ms

    if words[:1] == ["fleet"] and not asked:
        signal.signal(signal.SIGINT, ON_INTERRUPT)
        imported("fleet.command:run_fleet_command")(words[1:])
    other = named if words[:1] == [wanted] and not asked else described  # else all are listed, or guessed at
    try:
        commands = [imported(place) if name_of(place) == wanted else other(place) for place in COMMANDS]
    except ImportError as error:
        if error.name != "cv2":
            raise
        # a bare Debian lacks what its wheel does not bring
        sys.exit(refuse(f"OpenCV cannot start ({error}): apt-get install libxcb1 libgl1 libglib2.0-0", 1))
    if any(word.startswith(("--split_data", "--split-data")) for word in words):
        words = imported("train.classifier.options:plain_shares")(words)
    signal.signal(signal.SIGINT, ON_INTERRUPT)
    run_command(commands, "maskstream", ABOUT, words)


def _check_install() -> None:
    """Another distribution's top-level `inference` or `train` must not have come in between."""
    here = Path(__file__).resolve().parent
    for name in ROOMS:
        found = find_spec(name)
        room = Path(found.origin).resolve() if found and found.origin else None
        if room is None or room.parent.parent != here:
            from configs.command import refuse

            missing = f"{name} is missing: install maskstream again (in its folder: pip install -e .)"
            foreign = f"{room} is not maskstream's own: uninstall the package that brought it"
            sys.exit(refuse(foreign if room else missing, 1))


if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
