"""What the servers of cameras and films answer, and how their sources are read."""

import re
import time

import cv2
import numpy as np
from conftest import send
from reading import read

from capture.picture import BEGINNING, NotYet, SourceLost
from capture.sources import open_source
from configs.schema import SourceConfig


def jpeg(grey):
    """An image of 64 x 48 px, all of it as bright."""
    return cv2.imencode(".jpg", np.full((48, 64, 3), grey, np.uint8))[1].tobytes()


def opened(url, place=BEGINNING, **options):
    """The source, with short time-outs, at its place."""
    return open_source(SourceConfig(source=url, open_timeout_s=3, **({"read_timeout_s": 3} | options)), place)


def numbers(source, clip, room):
    """Which pictures of a clip are left."""
    return [clip.index_of(picture.image) for picture in iter(lambda: read(source, room), None)]


def until_lost(source, room):
    """All pictures until the source is lost, and why it is."""
    images = []
    while True:
        try:
            images.append(source.read(room).image.copy())
        except NotYet:
            continue
        except SourceLost as lost:
            return images, str(lost)


def films(path, ranges=True, breaks_at=()):
    """Answers with a film. `breaks_at`: how many bytes the first answers are short of what they promised."""
    data, breaks = path.read_bytes(), list(breaks_at)

    def answer(request):
        asked = re.match(r"bytes=(\d+)-", request.headers.get("Range", "") if ranges else "")
        begin = int(asked[1]) if asked else 0
        request.send_response(206 if asked else 200)
        request.send_header("Content-Length", str(len(data) - begin))
        if ranges:
            request.send_header("Accept-Ranges", "bytes")
        request.end_headers()
        short = breaks.pop(0) if breaks else 0
        request.wfile.write(data[begin : len(data) - short])
        time.sleep(0.2 if short else 0)  # so that the client reads what there is before it breaks

    return answer


def parts_of(files, trouble=None):
    """Answers with files by name and range; `trouble(request, name)` may answer in its place, then it says True."""

    def answer(request):
        name = request.path.strip("/")
        if trouble and trouble(request, name):
            return
        asked = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        send(request, files[name][begin:], 206 if asked else 200)

    return answer


def chunked(*bodies):
    """Answers with bodies one after the other, and without a length."""

    def answer(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for body in bodies:
            for begin in range(0, len(body), 9000):
                chunk = body[begin : begin + 9000]
                request.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        request.wfile.write(b"0\r\n\r\n")

    return answer


def multipart(*parts, boundary="frame"):
    """Answers with MJPEG of these parts."""

    def answer(request):
        request.send_response(200)
        request.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={boundary}")
        request.end_headers()
        for part in parts:
            request.wfile.write(part)
            time.sleep(0.02)

    return answer
