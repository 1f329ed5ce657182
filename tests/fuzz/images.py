"""Photographs: the decoder alone, and the whole way to embeddings with the real models."""

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
from ersgallery_server.faces import AcquisitionFailure, FacePipeline, SeveralFaces, load_pipeline
from ersgallery_server.faces.images import ImageLimits, ImageRejected, decode_image
from ersgallery_server.faces.sessions import Inference
from ersgallery_server.models.catalogue import default_model

from tests.fuzz.case import Case, Finding
from tests.fuzz.damage import BOUNDARIES, damage
from tests.fuzz.image_cases import made_images, photographs
from tests.fuzz.watch import Watch
from tests.support.models import models_dir_if_installed

LIMITS = ImageLimits(max_bytes=1 << 20, max_pixels=300_000)
PNG = b"\x89PNG\r\n\x1a\n"


class ImageAttack:
    """Damages pictures and gives them to `use`, which returns the outcome."""

    def __init__(self, use: Callable[[bytes], str]) -> None:
        self._use = use
        self._seeds = (*made_images(), *photographs())
        self._watch = Watch()

    def draw(self, rng: Random) -> Case:
        """Return a damaged picture; the kind says of what form."""
        data = rng.choice(self._seeds)
        for _ in range(rng.choice((1, 1, 2))):
            data = rng.choice(_WAYS)(rng, data, self._seeds)
        return Case(_form(data), data)

    def check(self, case: Case) -> str:
        """Use a picture."""
        outcome = self._use(case.data)
        self._watch.count()
        return f"{case.kind} {outcome}"

    def settle(self) -> None:
        """Check that nothing grew."""
        self._watch.check(patience_s=1.0)


def decode(data: bytes) -> str:
    """Decode; raises Finding for pixels that are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about metadata
        try:
            pixels = decode_image(data, LIMITS)
        except ImageRejected as rejected:
            if not rejected.detail:
                raise Finding("rejected without a word") from rejected
            return rejected.reason.value
    height, width, *rest = pixels.shape
    if pixels.dtype != np.uint8 or rest != [3] or not 0 < height * width <= LIMITS.max_pixels:
        raise Finding(f"decoded to {pixels.dtype} {pixels.shape}")
    return "decoded"


def acquire(pipeline: FacePipeline, data: bytes) -> str:
    """Embed what a picture shows; raises Finding for an embedding that is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (outcome,) = pipeline.acquire([data], SeveralFaces.LARGEST)
    if isinstance(outcome, AcquisitionFailure):
        return outcome.reason.value
    embedding = outcome.embedding
    if embedding.shape != (pipeline.dimension,) or not np.isfinite(embedding).all() or not embedding.any():
        raise Finding(f"an embedding of {embedding.shape} with the norm {np.linalg.norm(embedding)}")
    return "embedded"


@contextmanager
def opened_decoder(_folder: Path) -> Iterator[ImageAttack]:
    """Attack the decoder."""
    yield ImageAttack(decode)


@contextmanager
def opened_pipeline(_folder: Path) -> Iterator[ImageAttack]:
    """Attack decoder, detector and recognizer; without an installed model the decoder alone."""
    models = models_dir_if_installed()
    if models is None:
        yield ImageAttack(decode)
        return
    pipeline = load_pipeline(default_model(), models, Inference("cpu", 1), limits=LIMITS)
    yield ImageAttack(lambda data: acquire(pipeline, data))


def _form(data: bytes) -> str:
    if data.startswith(PNG):
        return "PNG"
    return "JPEG" if data.startswith(b"\xff\xd8") else "WEBP" if data[8:12] == b"WEBP" else "other"


def _anything(rng: Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    return damage(rng, data, others)


def _header(rng: Random, data: bytes, _others: tuple[bytes, ...]) -> bytes:
    """Damage the first bytes, where sizes and kinds are."""
    return data[:4] + damage(rng, data[4:64], most=2) + data[64:]


def _chunks(rng: Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """Move, double, drop and rewrite the chunks of a PNG or WebP, or the segments of a JPEG, with lengths that fit."""
    head, chunks = _split(data)
    if len(chunks) < 2:
        return damage(rng, data, others)
    place = rng.randrange(len(chunks))
    match rng.randrange(6):
        case 0:
            chunks.pop(place)
        case 1:
            chunks.insert(rng.randrange(len(chunks)), chunks[place])
        case 2:
            rng.shuffle(chunks)
        case 3:
            _, foreign = _split(rng.choice(others))
            chunks[place:place] = foreign[:3]
        case _:
            kind, body = chunks[place]
            chunks[place] = kind, damage(rng, body, most=3)
    return _join(head, chunks)


def _huge(rng: Random, data: bytes, _others: tuple[bytes, ...]) -> bytes:
    """Claim a size in the header that the pixels do not have, or that nobody could hold."""
    sizes = (0, 1, 547, 548, 4096, 16383, 16384, 20_000, 65_535, 65_536, (1 << 24) - 1, (1 << 31) - 1, (1 << 32) - 1)
    width, height = rng.choice(sizes), rng.choice(sizes)
    if data.startswith(PNG):
        head, chunks = _split(data)
        rest = chunks[0][1][8:] if chunks else b""
        size = struct.pack(">II", width, height)
        return _join(head, [(b"IHDR", size + rest), *chunks[1:]])
    if data[8:12] == b"WEBP":
        return data[:24] + width.to_bytes(4, "little")[:3] + height.to_bytes(4, "little")[:3] + data[30:]
    place = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    if place < 0:
        return data
    return data[: place + 5] + struct.pack(">HH", height & 0xFFFF, width & 0xFFFF) + data[place + 9 :]


def _bomb(rng: Random, _data: bytes, _others: tuple[bytes, ...]) -> bytes:
    """Return a small file that says how large it is and keeps its word, or hides megabytes in a text."""
    side = rng.choice((540, 560, 2000))
    bits, colour = rng.choice(((1, 0), (8, 2), (16, 2), (16, 6), (8, 3)))
    header = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, rng.choice((0, 1)))
    rows = zlib.compress(bytes(side * (1 + side * 8)))
    text = zlib.compress(bytes(rng.choice((10, 1 << 20, 8 << 20))))
    extra = rng.choice(((b"zTXt", b"k\0\0" + text), (b"iCCP", b"k\0\0" + text), (b"iTXt", b"k\0\1\0\0\0" + text)))
    return _join(PNG, [(b"IHDR", header), extra, (b"PLTE", bytes(768)), (b"IDAT", rows), (b"IEND", b"")])


def _exif(rng: Random, data: bytes, _others: tuple[bytes, ...]) -> bytes:
    """Put EXIF data without sense into a picture: any orientation, of any type, any number of times."""
    kind, count = rng.choice((1, 2, 3, 4, 5, 7, 9, 10, 12, 99)), rng.choice((0, 1, 2, 1 << 31))
    value = rng.choice(BOUNDARIES) & 0xFFFFFFFF
    tag = rng.choice((0x0112, 0x8769, 0x8825, 0x0111))
    entry = struct.pack("<HHII", tag, kind, count, value)
    entries = entry * rng.choice((1, 2, 100))
    tiff = (
        b"II*\0"
        + struct.pack("<I", rng.choice((8, 8, 8, 0, 1 << 31)))
        + struct.pack("<H", len(entries) // 12)
        + entries
    )
    tiff += struct.pack("<I", rng.choice((0, 8, 1 << 30)))
    if rng.random() < 0.3:
        tiff = damage(rng, tiff)
    head, chunks = _split(data)
    if data.startswith(PNG):
        return _join(head, [*chunks[:1], (b"eXIf", tiff), *chunks[1:]])
    if data[8:12] == b"WEBP":
        return _join(head, [*chunks, (b"EXIF", tiff)])
    return _join(head, [(b"\xff\xe1", b"Exif\0\0" + tiff[:60_000]), *chunks])


def _split(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return what comes before the chunks, and the kind and the body of each; a JPEG's last has the picture too."""
    if data.startswith(PNG):
        head, place, form, before = PNG, 8, ">I", 8
    elif data[8:12] == b"WEBP":
        head, place, form, before = data[:12], 12, "<I", 8
    else:
        head, place, form, before = data[:2], 2, ">H", 4
    chunks = []
    while place + before <= len(data):
        if form == ">H":
            kind, length = data[place : place + 2], struct.unpack_from(form, data, place + 2)[0] - 2
            if kind == b"\xff\xda" or length < 0:
                chunks.append((b"", data[place:]))
                break
            after = 0
        elif form == ">I":
            length, kind, after = struct.unpack_from(form, data, place)[0], data[place + 4 : place + 8], 4
        else:
            kind, length = data[place : place + 4], struct.unpack_from(form, data, place + 4)[0]
            after = length & 1
        chunks.append((kind, data[place + before : place + before + length]))
        place += before + length + after
    return head, chunks


def _join(head: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    if head == PNG:
        packed = [
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        ]
    elif head[8:12] == b"WEBP":
        packed = [kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1) for kind, body in chunks]
        head = head[:4] + struct.pack("<I", 4 + sum(map(len, packed))) + head[8:]
    else:
        packed = [kind + struct.pack(">H", (len(body) + 2) & 0xFFFF) + body if kind else body for kind, body in chunks]
    return head + b"".join(packed)


_WAYS: tuple[Callable[[Random, bytes, tuple[bytes, ...]], bytes], ...] = (
    _anything, _anything, _header, _header, _chunks, _chunks, _chunks, _huge, _bomb, _exif,
)  # fmt: skip
