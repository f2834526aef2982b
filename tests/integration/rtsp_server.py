"""A real RTSP server for tests, on loopback: run with Debian's /usr/bin/python3.

/live is a clock, whose pictures carry the time at which they were made and their number, or with --file a video over
and over.
Debian packages: gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good
gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import signal
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

WIDTH, HEIGHT, FPS = 640, 480, 25
BITS, BLOCK_PX = 40, 16  # 40 bits of milliseconds, and below them of the number, as black and white blocks
NEEDED = ("appsrc", "decodebin", "intervideosink", "intervideosrc", "x264enc", "rtph264pay", "avdec_h264", "qtdemux")
EVERY_4_S = f"key-int-max={4 * FPS}"
ENCODE = (
    f"video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! x264enc tune=zerolatency"
    f" speed-preset=ultrafast {EVERY_4_S} bitrate=3000 ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8554)
    parser.add_argument("--file", help="serve this video instead of the clock")
    parser.add_argument("--interval", type=float, help="seconds from one picture of the clock to the next")
    parser.add_argument("--record", action="store_true", help="take what is published at /in, and serve it at /live")
    parser.add_argument("--auth", help="USER:PASSWORD that clients must give")
    parser.add_argument("--check", action="store_true", help="only say which GStreamer elements are missing")
    arguments = parser.parse_args()

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: never outlives the test that started it
    Gst.init(None)
    missing = [name for name in NEEDED if Gst.ElementFactory.find(name) is None]
    if missing or arguments.check:
        sys.exit(f"missing: {', '.join(missing)}" if missing else 0)

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    factory = (
        Film(arguments.file) if arguments.file else Republished() if arguments.record else Clock(arguments.interval)
    )
    if arguments.record:
        server.get_mount_points().add_factory("/in", published())
    if arguments.auth:
        demand_password(server, factory, *arguments.auth.split(":", 1))
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit(f"port {arguments.port} is in use")
    print("ready", flush=True)
    GLib.MainLoop().run()


class Clock(GstRtspServer.RTSPMediaFactory):
    """A live picture of time.monotonic(), which all processes of a host share."""

    def __init__(self, interval_s: float | None) -> None:
        super().__init__()
        self.set_shared(True)
        self._interval_s = interval_s or 1 / FPS

    def do_create_element(self, url: object) -> Gst.Element:
        return Gst.parse_launch(
            "( appsrc name=source is-live=true format=time do-timestamp=true"
            f" caps=video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! videoconvert ! "
            + (ENCODE if self._interval_s < 0.5 else ENCODE.replace(EVERY_4_S, "key-int-max=1"))  # else: one in 150 s
        )

    def do_configure(self, media: GstRtspServer.RTSPMedia) -> None:
        source = media.get_element().get_child_by_name("source")

        numbers = itertools.count()

        def push() -> bool:
            picture = Gst.Buffer.new_wrapped(clock_picture(next(numbers)))
            return source.emit("push-buffer", picture) == Gst.FlowReturn.OK

        def begin(*_: object) -> None:
            source.disconnect(asked)
            push()  # clients are answered when there is a first picture
            GLib.timeout_add(round(1000 * self._interval_s), push)

        # Asked for by a pipeline that plays. A picture that comes earlier may be stamped before the pipeline has its
        # base time: with the time since the host started, which is then waited for, and all pictures behind it, too.
        asked = source.connect("need-data", begin)


def clock_picture(number: int) -> bytes:
    """Grey, WIDTH x HEIGHT. Bit i of the time in ms is block i of the upper edge, white for 1; the number is below."""
    edge = bits(time.monotonic_ns() // 1_000_000) + bits(number)
    return edge + b"\x80" * (WIDTH * HEIGHT - len(edge))


def bits(value: int) -> bytes:
    """A band of 2 x BLOCK_PX rows."""
    row = b"".join((b"\xff" if value >> bit & 1 else b"\x00") * BLOCK_PX for bit in range(BITS))
    return row * 2 * BLOCK_PX


class Film(GstRtspServer.RTSPMediaFactory):
    """A video over and over. It plays in a pipeline of its own: so the time stamps of the stream never jump back."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.set_shared(True)
        self._player = Gst.parse_launch(
            f'filesrc location="{path}" ! decodebin ! videoconvert ! videoscale ! videorate ! video/x-raw,format=I420,'
            f"width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! intervideosink channel=film sync=true"
        )
        bus = self._player.get_bus()
        bus.add_signal_watch()
        bus.connect("message::eos", lambda *_: self._player.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH, 0))
        self._player.set_state(Gst.State.PLAYING)

    def do_create_element(self, url: object) -> Gst.Element:
        return Gst.parse_launch("( intervideosrc channel=film ! " + ENCODE)


def published() -> GstRtspServer.RTSPMediaFactory:
    """Where a stream is published to."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    factory.set_launch(
        "( rtph264depay name=depay0 ! avdec_h264 ! videoconvert ! videoscale ! videorate ! video/x-raw,format=I420,"
        f"width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! intervideosink channel=in sync=false )"
    )
    return factory


class Republished(GstRtspServer.RTSPMediaFactory):
    """What is published, for viewers."""

    def __init__(self) -> None:
        super().__init__()
        self.set_shared(True)

    def do_create_element(self, url: object) -> Gst.Element:
        return Gst.parse_launch("( intervideosrc channel=in ! videoconvert ! " + ENCODE)


def demand_password(
    server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, user: str, password: str
) -> None:
    token = GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", "user")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)


if __name__ == "__main__":
    main()
