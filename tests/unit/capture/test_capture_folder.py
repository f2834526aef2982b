"""A folder of images: each image a frame, in the order of their names."""

import cv2
import numpy as np
import pytest

from capture.kinds.folder import ImageFolder
from capture.picture import Undecodable
from configs.errors import InputError

RED = np.full((48, 64, 3), (0, 0, 255), np.uint8)


def names(folder, room):
    with folder:
        return [picture.name for picture in iter(lambda: folder.read(room), None)]


def test_every_kind_of_image_comes_in_order_of_name(tmp_path, room, caplog):
    for name in ("c.JPG", "a.png", "b.webp", "d.bmp", "e.tif", "f.jpeg", "g.gif", "h.avif"):
        cv2.imwrite(str(tmp_path / name), RED)
    (tmp_path / "i.jfif").write_bytes((tmp_path / "c.JPG").read_bytes())
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "Thumbs.db").write_text("no image")
    with caplog.at_level("INFO"):
        folder = ImageFolder(tmp_path)
    every = ["a.png", "b.webp", "c.JPG", "d.bmp", "e.tif", "f.jpeg", "g.gif", "h.avif", "i.jfif"]
    assert names(folder, room) == every
    assert [record.getMessage() for record in caplog.records] == [f"{tmp_path}: left out as no pictures: notes.txt"]


def test_the_picture_lies_in_the_room_as_bgr(tmp_path, room):
    cv2.imwrite(str(tmp_path / "red.png"), RED)
    picture = ImageFolder(tmp_path).read(room)
    assert np.shares_memory(picture.image, room(48, 64))
    assert np.array_equal(picture.image, RED)
    assert picture.media_ms is None


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 4)], ids=["grey", "transparent"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_transparent_and_16_bit_images_become_8_bit_bgr(tmp_path, room, shape, depth):
    cv2.imwrite(str(tmp_path / "a.png"), np.full(shape, np.iinfo(depth).max, depth))
    image = ImageFolder(tmp_path).read(room).image
    assert image.shape == (48, 64, 3)
    assert (image == 255).all()


def test_a_photograph_is_turned_upright_as_its_exif_data_say(tmp_path, room):
    jpeg = cv2.imencode(".jpg", RED)[1].tobytes()
    rotate_90 = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    marker = b"\xff\xe1" + (len(rotate_90) + 2).to_bytes(2, "big") + rotate_90
    (tmp_path / "phone.jpg").write_bytes(jpeg[:2] + marker + jpeg[2:])
    assert ImageFolder(tmp_path).read(room).image.shape == (64, 48, 3)


def test_a_broken_image_is_named_and_the_next_one_comes(tmp_path, room):
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))[1].tobytes()
    for name, data in {"a.jpg": whole, "b.jpg": whole[:-200], "c.jpg": b"text", "d.jpg": b"", "e.jpg": whole}.items():
        (tmp_path / name).write_bytes(data)
    folder = ImageFolder(tmp_path)
    assert folder.read(room).name == "a.jpg"
    for broken in ("b.jpg: not a whole image", "c.jpg: not a whole image", "d.jpg: the file is empty"):
        with pytest.raises(Undecodable, match=broken):
            folder.read(room)
    assert folder.read(room).name == "e.jpg"
    assert folder.read(room) is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".gif", ".avif", ".jp2", ".tif"])
def test_a_cut_off_image_of_any_kind_is_broken_and_nothing_else_is_printed(tmp_path, room, suffix, capfd):
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    whole = cv2.imencode(suffix, noise)[1].tobytes()
    for share in (0.3, 0.6, 0.95):
        (tmp_path / f"a{suffix}").write_bytes(whole[: round(share * len(whole))])
        with pytest.raises(Undecodable, match="not a whole image"):
            ImageFolder(tmp_path).read(room)
    assert capfd.readouterr() == ("", "")


def test_an_image_that_vanished_is_undecodable(tmp_path, room):
    cv2.imwrite(str(tmp_path / "a.png"), RED)
    folder = ImageFolder(tmp_path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(Undecodable, match=r"a\.png: no such file"):
        folder.read(room)


def test_it_goes_on_where_an_earlier_process_stood(tmp_path, room):
    for name in "abcd":
        cv2.imwrite(str(tmp_path / f"{name}.png"), RED)
    assert names(ImageFolder(tmp_path, start=2), room) == ["c.png", "d.png"]
    looped = ImageFolder(tmp_path, loop=True, start=11)
    assert [looped.read(room).name for _ in range(3)] == ["d.png", "a.png", "b.png"]


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="no images in this folder"):
        ImageFolder(tmp_path)
