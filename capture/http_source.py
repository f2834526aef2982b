"""Opens an http:// source as what its server says it is: snapshots, MJPEG, a film, or a live stream."""

from __future__ import annotations

import re

from capture.chips import CHIPS
from capture.http_client import Broken, HttpClient, Reply, Unspoken
from capture.http_file import HttpFile, HttpParts
from capture.kinds.http_film import HttpFilm, PlaylistFilm
from capture.kinds.mjpeg import MjpegCamera
from capture.kinds.network import NetworkCamera, open_camera, opened_decoder, playout
from capture.kinds.snapshot import SnapshotCamera
from capture.patience import Patience
from capture.picture import Place, Source
from capture.refusal import why_no_video
from configs.errors import InputError
from configs.redact import redact
from configs.schema import SourceConfig

_HEAD = 2048  # bytes that tell what it is
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF", b"BM", b"GIF8")  # how JPEG, PNG, WebP, BMP and GIF begin
_LONGEST = 2**40  # bytes; servers of endless streams that must tell a length tell one beyond it
_LONGEST_WAIT_S = 45.0  # for bytes, within FFmpeg: a stage that is busy with one picture for 60 s counts as hanging
_OWN_HTTP = {"http_persistent": "0", "http_multiple": "0"}  # what FFmpeg can do with connections of its own only
_TARGET = re.compile(rb"#EXT-X-TARGETDURATION:(\d+)")
_USUAL_TARGET_S = 6.0  # of an HLS segment, where the first answer does not tell it
_TARGETS = 3  # so many of them without a picture mean that nothing comes any more


def open_http(config: SourceConfig, place: Place) -> Source:
    """The source, opened; a film at its place. Raises InputError, without the password."""
    client = HttpClient(config.source, config.open_timeout_s)
    source: Source
    try:
        source = _open(config, client, client.get(), place)
    except Unspoken:
        client.close()
        source = open_camera(config, place.copy)  # FFmpeg takes more for HTTP, `ICY 200 OK` for one
    except (Broken, TimeoutError) as error:
        client.close()
        raise InputError(f"{redact(config.source)}: {str(error) or 'it answers, but sends nothing'}") from None
    except BaseException:
        client.close()
        raise
    _check_options(config, source, place.copy is not None)
    return source


def _check_options(config: SourceConfig, source: Source, recorded: bool) -> None:
    """Refuse what only a source of another kind could do; closes it then."""
    reason = ""
    if source.live and (config.realtime or config.loop):
        reason = f"{'realtime' if config.realtime else 'loop'} is for films; what this URL sends is live"
    elif recorded and isinstance(source, SnapshotCamera | MjpegCamera):
        reason = "it sends single pictures, which sink record: does not take: record it with --sink file:OUT.mp4"
    elif config.decode in CHIPS and not source.decodes:
        reason = f"it sends single pictures, which the CPU decodes: without decode: {config.decode}"
    if reason:
        source.close()
        raise InputError(f"{redact(config.source)}: {reason}")


def _open(config: SourceConfig, client: HttpClient, reply: Reply, place: Place) -> Source:
    if reply.type.startswith("multipart/"):
        boundary = re.search(r'boundary="?([^";]+)', reply.headers["Content-Type"], re.IGNORECASE)
        return MjpegCamera(client, reply, boundary[1] if boundary else "", Patience(config.read_timeout_s), config.fps)
    head = reply.head(_HEAD, config.open_timeout_s)
    if not head:
        raise InputError(f"{redact(config.source)}: the answer is empty")
    if re.match(rb"\s*--\S+\s+content-type: *image/", head, re.IGNORECASE):  # MJPEG that does not say so
        return MjpegCamera(client, reply, "", Patience(config.read_timeout_s), config.fps)
    if reply.type.startswith("image/") or (head.startswith(_IMAGES[:2]) and reply.length is not None):
        if not head.startswith(_IMAGES):
            raise InputError(f"{redact(config.source)}: {reply.type or 'it'} is no image that is read here")
        return SnapshotCamera(client, reply, config.fps, config.read_timeout_s)
    if b"<MPD" in head or reply.type == "application/dash+xml":
        raise InputError(
            f"{redact(config.source)}: a DASH playlist, which PyAV's FFmpeg does not read: give HLS (.m3u8)"
        )
    if head.lstrip(b"\xef\xbb\xbf").startswith(b"#EXTM3U"):
        reply.close()
        return _playlist(config, client, reply.url, head, place)
    if said := why_no_video(reply.type, head):
        raise InputError(f"{redact(config.source)}: {said}")
    if reply.length is not None and reply.length < _LONGEST:
        return _film(config, HttpFile(client, reply, lambda: config.read_timeout_s, config.read_timeout_s), place)
    return _endless(config, client, reply, place)


def _film(config: SourceConfig, file: HttpFile, place: Place) -> Source:
    """A film; where its index lies at its end, the server is asked for that, whatever it says of ranges."""
    try:
        return HttpFilm(config, file, place)
    except InputError:
        if file.seeks or file.broke or file.length is None:
            raise
    file.seeks = True
    return HttpFilm(config, file, place)


def _endless(config: SourceConfig, client: HttpClient, reply: Reply, place: Place) -> Source:
    """What comes without a length: live, unless the container tells how long it is."""
    patience = Patience(config.read_timeout_s)
    file = HttpFile(client, reply, lambda: config.open_timeout_s, config.open_timeout_s)
    file.length, file.resumes = None, False
    decoder = opened_decoder(config, file, {"analyzeduration": "500000"}, patience=patience, copy=place.copy)
    if decoder.tells_length:
        decoder.close()
        return _film(config, file, place)
    file.waits_s = lambda: min(_LONGEST_WAIT_S, patience.left_s)
    return NetworkCamera(decoder, patience, playout(config, bursts=False), file, config.fps)


def _playlist(config: SourceConfig, client: HttpClient, url: str, head: bytes, place: Place) -> Source:
    """HLS. FFmpeg reads its segments through our client, which takes up again what breaks."""
    target = _TARGET.search(head)
    silence_s = max(config.read_timeout_s, _TARGETS * (float(target[1]) if target else _USUAL_TARGET_S))
    parts = HttpParts(client, config.read_timeout_s)
    try:
        return _opened_playlist(config, url, parts, _OWN_HTTP, silence_s, place)
    except InputError:
        if not parts.unknown:
            raise
    client.close()
    options = {"rw_timeout": str(round(1e6 * config.read_timeout_s)), "seg_max_retry": "3"}
    return _opened_playlist(config, config.source, None, options, silence_s, place)


def _opened_playlist(
    config: SourceConfig, url: str, parts: HttpParts | None, options: dict[str, str], silence_s: float, place: Place
) -> Source:
    """A film if the playlist has an end."""
    patience = Patience(silence_s)
    decoder = opened_decoder(config, url, options, (config.open_timeout_s, silence_s), patience, parts, place.copy)
    if decoder.tells_length:
        decoder.close()
        return PlaylistFilm(config, url, parts, options, place)
    return NetworkCamera(decoder, patience, playout(config, bursts=True), parts, config.fps)
