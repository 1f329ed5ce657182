"""Untrusted image bytes become RGB pixels or a stable reason, and nothing else."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from ersgallery_server.faces.images import ImageLimits, ImageRejected, decode_image
from ersgallery_server.faces.outcomes import FailureReason
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from tests.support.images import encode, gradient

LIMITS = ImageLimits()


def rejection(data: bytes, limits: ImageLimits = LIMITS) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode_image(data, limits)
    return caught.value


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 95}), ("WEBP", {})]
)
def test_each_supported_format_is_decoded_to_its_own_pixels(form: str, options: dict[str, object]) -> None:
    image = gradient()
    decoded = decode_image(encode(image, form, **options), LIMITS)
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - image).mean() < 4
    assert decoded.flags.writeable


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_unsupported_even_though_pillow_reads_them(form: str) -> None:
    assert rejection(encode(gradient(), form)).reason is FailureReason.IMAGE_FORMAT_UNSUPPORTED


@pytest.mark.parametrize("data", [b"", b"\xff", b"no image at all", bytes(64)])
def test_bytes_that_are_no_image_are_unsupported(data: bytes) -> None:
    assert rejection(data).reason is FailureReason.IMAGE_FORMAT_UNSUPPORTED


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_truncated_images_are_corrupt_and_never_filled_up_with_grey(form: str, kept: float) -> None:
    rng = np.random.default_rng(5)
    data = encode(rng.integers(0, 256, (90, 120, 3), np.uint8), form)
    assert rejection(data[: int(len(data) * kept)]).reason is FailureReason.IMAGE_CORRUPT


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_bare_signature_is_corrupt(form: str) -> None:
    assert rejection(encode(gradient(), form)[:20]).reason is FailureReason.IMAGE_CORRUPT


def test_a_png_that_claims_60000_by_60000_pixels_is_too_large() -> None:
    rejected = rejection(png_claiming(60_000, 60_000))
    assert rejected.reason is FailureReason.IMAGE_TOO_LARGE
    assert str(LIMITS.max_pixels) in rejected.detail


def test_a_png_between_our_limit_and_pillows_is_too_large() -> None:
    rejected = rejection(png_claiming(8_000, 8_000))
    assert rejected.reason is FailureReason.IMAGE_TOO_LARGE
    assert "8000 x 8000" in rejected.detail


def test_a_png_that_only_pillow_warns_about_is_too_large() -> None:
    with pytest.warns(Image.DecompressionBombWarning):
        rejected = rejection(png_claiming(10_000, 10_000))
    assert rejected.reason is FailureReason.IMAGE_TOO_LARGE


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"xmp": b"<x/>"}], ids=["lossy", "lossless", "extended"])
def test_a_webps_size_is_known_before_pillow_sees_it(options: dict[str, object]) -> None:
    data = encode(gradient(40, 50), "WEBP", **options)
    rejected = rejection(data, ImageLimits(max_pixels=1999))
    assert rejected.reason is FailureReason.IMAGE_TOO_LARGE
    assert "50 x 40" in rejected.detail
    assert decode_image(data, ImageLimits(max_pixels=2000)).shape == (40, 50, 3)


def test_the_limit_of_bytes_is_inclusive_and_named() -> None:
    data = encode(gradient(), "PNG")
    assert decode_image(data, ImageLimits(max_bytes=len(data))).shape == (48, 64, 3)
    rejected = rejection(data, ImageLimits(max_bytes=len(data) - 1))
    assert rejected.reason is FailureReason.IMAGE_TOO_LARGE
    assert str(len(data) - 1) in rejected.detail


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone(orientation: int) -> None:
    upright = gradient(96, 128)
    undo = {2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 3), 6: (0, 1), 7: (1, 1), 8: (0, 3)}
    flip, turns = undo.get(orientation, (0, 0))
    stored = np.rot90(upright, turns)
    stored = np.ascontiguousarray(stored[:, ::-1] if flip else stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode_image(encode(stored, "JPEG", exif=exif, quality=95), LIMITS)
    assert decoded.shape == upright.shape
    assert np.abs(decoded.astype(int) - upright).mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0"])
def test_broken_exif_does_not_cost_the_photograph(exif: bytes) -> None:
    assert decode_image(encode(gradient(), "JPEG", exif=exif), LIMITS).shape == (48, 64, 3)


def test_an_orientation_that_does_not_exist_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert decode_image(encode(gradient(), "JPEG", exif=exif), LIMITS).shape == (48, 64, 3)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "YCbCr"])
def test_every_pixel_mode_becomes_rgb(mode: str) -> None:
    picture = Image.fromarray(gradient()).convert("L").convert(mode if mode not in ("CMYK", "YCbCr") else "RGB")
    picture = picture.convert(mode)
    data = encode(picture, "JPEG" if mode in ("CMYK", "YCbCr") else "PNG")
    decoded = decode_image(data, LIMITS)
    assert decoded.shape == (48, 64, 3)
    assert np.ptp(decoded.astype(int), axis=2).max() < 8
    assert decoded.std() > 20


def test_sixteen_bit_greys_keep_their_high_byte() -> None:
    grey = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    decoded = decode_image(encode(Image.fromarray(grey), "PNG"), LIMITS)
    assert np.array_equal(decoded[:, :, 1], np.arange(256).reshape(16, 16))


def test_transparent_pixels_show_white_and_not_what_hides_below() -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, 4:] = (10, 20, 30, 255)
    decoded = decode_image(encode(Image.fromarray(pixels), "PNG"), LIMITS)
    assert (decoded[:, :4] == 255).all()
    assert (decoded[:, 4:] == (10, 20, 30)).all()


def test_a_transparent_palette_colour_shows_white() -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([0, 0, 0, 200, 0, 0])
    picture.putpixel((0, 0), 1)
    decoded = decode_image(encode(picture, "PNG", transparency=0), LIMITS)
    assert decoded[0, 0].tolist() == [200, 0, 0]
    assert decoded[3, 3].tolist() == [255, 255, 255]


def test_an_animation_counts_as_its_first_frame() -> None:
    frames = [Image.new("RGB", (16, 12), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert decode_image(buffer.getvalue(), LIMITS)[5, 5].tolist() == [255, 0, 0]


def test_pillows_global_state_is_left_alone() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    decode_image(encode(gradient(), "JPEG"), LIMITS)
    rejection(png_claiming(60_000, 60_000))
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    damage=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_damaged_images_are_decoded_or_rejected_with_a_reason(form: str, damage: list[tuple[int, int]]) -> None:
    data = bytearray(encode(gradient(24, 24), form))
    for position, value in damage:
        data[position % len(data)] = value
    # Anything but ImageRejected fails the test.
    with contextlib.suppress(ImageRejected):
        decoded = decode_image(bytes(data), LIMITS)
        assert decoded.ndim == 3
        assert decoded.dtype == np.uint8
