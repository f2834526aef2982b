"""What the header of a stream's shared memory holds: numbers of 64 bits, each at its place."""

OUTCOMES = ("", "shown", "superseded", "stale", "lost", "undecodable", "stopped")
"""What can become of a frame. `stopped`: it was under way when the run was told to stop."""
STATES = ("opening", "flowing", "away", "ended", "failed", "paused")
HELD_SLOTS = 64  # for frames that a stage keeps, which free their tickets: 2 s of 30 pictures/s
MAX_SLOTS = 66 + HELD_SLOTS  # tickets <= 64, and two for the reader: the newest picture and the one being written
AGE_BUCKETS = 256
AGE_STEP = 1.06  # bucket i holds ages up to 0.1 ms * 1.06**i: 6 % apart, the last at 4.7 minutes

# Where each number of the header lies. ENDED is the number behind the last frame's, plus one; 0: there may be more.
# CLOSED: the last stage has told its function so. FINISHED: all is home, capture has no more to do.
ID, SLOTS, SPARE, SLOT_BYTES, STATE, CAPTURED, ENDED, CLOSED, FINISHED, FACES, CORRUPT = range(11)
FIRST_SHOWN_NS, LAST_SHOWN_NS, PACED_MHZ = range(11, 14)
# What capture was counting when it died; JOURNAL is 1 while this is valid (transport/journal.py).
JOURNAL, J_SLOT, J_OUTCOME, J_COUNT, J_CAPTURED, J_FACES, J_CORRUPT, J_BUCKET, J_AGES = range(14, 23)
GIVEN, RECORDED, NOT_RECORDED = range(23, 26)  # by the last stage (transport/recordings.py)
COUNTS = 26
AGES = COUNTS + len(OUTCOMES)
SKIPPED = AGES + AGE_BUCKETS  # pictures of the source that were not to be looked at: no frames, and not captured
AWAITED = SKIPPED + 1  # 1 while capture waits for word of frames that end: only then it is sent
STILL_NS = AWAITED + 1  # when the newest picture was captured before which nothing moved; 0: something does
HEADER = STILL_NS + 1  # how many numbers it has; behind them those of the slots
