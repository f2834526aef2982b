"""Films made of others: joined, with sound, with another clock."""

from fractions import Fraction

import av
import numpy as np


def joined(name, *parts):
    """One file behind the other, as recorders and `cat` do."""
    path = parts[0].with_name(name)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def with_sound(path, sound_s, video, first="pictures"):
    """A video of the pictures of another one and of silence that lasts so long."""
    codec, kind = ("mp2", np.int16) if path.suffix == ".ts" else ("aac", np.float32)
    with av.open(str(path), "w") as output:
        if first == "sound":
            sound = output.add_stream(codec, rate=48000, layout="mono")
        with av.open(str(video)) as source:
            pictures = output.add_stream_from_template(source.streams.video[0])
            if first != "sound":
                sound = output.add_stream(codec, rate=48000, layout="mono")
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = pictures
                    output.mux(packet)
        for start in range(0, round(sound_s * 48000), 1152):
            samples = np.zeros((1, 1152), kind)
            frame = av.AudioFrame.from_ndarray(samples, format="s16" if kind is np.int16 else "fltp", layout="mono")
            frame.rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path


def shifted(clip, name, start_s, count=20, **options):
    """A clip whose clock stands at `start_s` when it begins."""
    return clip(name, count=count, container={"output_ts_offset": str(start_s)}, **options)
