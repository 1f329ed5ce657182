"""Look at every photograph once: where its face is, and whether it may be used at all."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from ersgallery_server.faces.outcomes import AcquiredFace, AcquisitionFailure
from ersgallery_server.faces.pipeline import FacePipeline
from numpy.typing import NDArray

from tests.demo.photographs import Photograph

Region = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """A photograph with one face: box (x, y, width, height) in pixels and unit embedding (d,) float32."""

    photograph: Photograph
    box_px: Region
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """The photographs that may be used by their names, and how many were left out for what reason."""

    usable: Mapping[str, Located]
    left_out: Mapping[str, int]


def survey(
    photographs: Sequence[Photograph],
    pipeline: FacePipeline,
    twin_similarity: float,
    workers: int,
    report: Callable[[], None],
) -> Survey:
    """Locate the faces; leave out photographs without a face, with several, and near-copies of another one.

    Of several faces nobody says whose is the name. `report` is called once for each photograph.
    """

    def look(photograph: Photograph) -> Located | str:
        (found,) = pipeline.acquire([photograph.path.read_bytes()])
        report()
        return _judge(photograph, found)

    with ThreadPoolExecutor(workers) as pool:
        judged = list(pool.map(look, photographs))
    left_out = Counter(reason for reason in judged if isinstance(reason, str))
    located = [found for found in judged if isinstance(found, Located)]
    distinct = without_twins(located, twin_similarity)
    left_out["near-copy of another photograph"] += len(located) - len(distinct)
    return Survey({str(found.photograph.path): found for found in distinct}, dict(left_out))


def without_twins(located: Iterable[Located], similarity: float) -> list[Located]:
    """Drop each photograph that is this similar to an earlier one of the same person."""
    kept: list[Located] = []
    for found in located:
        own = [other for other in kept if other.photograph.person == found.photograph.person]
        if all(float(other.embedding @ found.embedding) < similarity for other in own):
            kept.append(found)
    return kept


def _judge(photograph: Photograph, found: AcquiredFace | AcquisitionFailure) -> Located | str:
    if isinstance(found, AcquisitionFailure):
        return found.reason.value.replace("_", " ").lower()
    if found.face_count > 1:
        return "several faces"
    unit = found.embedding / np.linalg.norm(found.embedding)
    return Located(photograph, found.box_px, np.asarray(unit, np.float32))
