"""The page: one file with everything in it, which is seen without a server and without a network."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ersgallery_client import Decision, Identification
from ersgallery_server.faces.degrade import Image
from ersgallery_server.faces.images import ImageLimits, decode_image
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image as Pictures

from tests.demo.examples import Example, choose_examples, false_matches_without_gates, mistakes
from tests.demo.figures import ARMS, OUTCOMES, outcome
from tests.demo.histogram import HEIGHT, WIDTH, make_histogram
from tests.demo.protocol import ProbeKind
from tests.demo.run import Answer, Result
from tests.demo.spoiling import Picture, cut_portrait
from tests.demo.survey import Located
from tests.demo.table import remarks

THUMBNAIL_PX = 112
_MISTAKES = 24
_PAIRS = 5
_TITLES = {
    ProbeKind.CLEAR_MATED: "Clear photographs of enrolled people",
    ProbeKind.CLEAR_STRANGER: "Clear photographs of strangers",
    ProbeKind.DEGRADED_MATED: "Degraded photographs of enrolled people",
    ProbeKind.DEGRADED_STRANGER: "Degraded photographs of strangers",
}
_WORDS = {
    "GAUSSIAN_BLUR": "out of focus",
    "MOTION_BLUR": "in motion",
    "LOW_RESOLUTION": "a few pixels",
    "OCCLUSION": "covered",
    "LOW_LIGHT": "in the dark",
}


def render_page(
    result: Result, enrolled: tuple[Picture, ...], located: Mapping[str, Located], summary: Mapping[str, Any], seed: int
) -> str:
    """Return the page as HTML."""
    cards = _Cards(enrolled, located)
    wrong, wrong_count = mistakes(result, _MISTAKES)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return templates.get_template("page.html.j2").render(
        summary=summary,
        kinds=[(kind.value, _TITLES[kind]) for kind in ProbeKind],
        arms=list(ARMS),
        outcomes=OUTCOMES,
        words={kind.lower(): words for kind, words in _WORDS.items()},
        remarks=remarks(summary),
        examples=[
            (_TITLES[kind], [cards.card(example) for example in examples])
            for kind, examples in reversed(choose_examples(result, seed).items())
        ],
        pairs=[cards.card(example) for example in false_matches_without_gates(result, seed, _PAIRS)],
        mistakes=[cards.card(example) for example in wrong],
        mistake_count=wrong_count,
        histogram=make_histogram(_ers_series(result), summary["gamma"]),
        width=WIDTH,
        height=HEIGHT,
    )


class _Cards:
    """Turns examples into what the template shows."""

    def __init__(self, enrolled: tuple[Picture, ...], located: Mapping[str, Located]) -> None:
        self._enrolled = {picture.shot.person: picture for picture in reversed(enrolled)}
        self._located = located
        self._thumbnails: dict[tuple[str, float, str], str] = {}

    def card(self, example: Example) -> dict[str, Any]:
        """Return the probe's face, its ERS, and both decisions with their candidates."""
        answer = example.answer
        shot = answer.picture.shot
        probe = answer.gates_on.probe
        return {
            "face": self._thumbnail(answer.picture),
            "person": shot.person,
            "how": _WORDS[shot.spoiling.kind.value] if shot.spoiling else "as it is",
            "severity": answer.picture.severity,
            "ers": probe.ers if probe else None,
            "arms": [self._decision(ARMS[arm](answer), arm, example.kind, shot.person) for arm in ARMS],
        }

    def _decision(self, found: Identification, arm: str, kind: ProbeKind, person: str) -> dict[str, Any]:
        best = found.candidates[0] if found.candidates and found.decision is not Decision.UNSURE else None
        return {
            "arm": arm,
            "decision": found.decision.value,
            "outcome": outcome(found, person, mated=kind.mated),
            "reasons": [reason.value.replace("_", " ").lower() for reason in found.reasons],
            "candidate": best
            and {
                "person": best.subject_id,
                "similarity": best.similarity,
                "ers": best.ers,
                "face": self._thumbnail(self._enrolled[best.subject_id]),
            },
        }

    def _thumbnail(self, picture: Picture) -> str:
        kind = picture.shot.spoiling.kind.value if picture.shot.spoiling else ""
        key = (picture.shot.photograph, picture.severity, kind)
        if key not in self._thumbnails:
            image = decode_image(picture.data, ImageLimits())
            if picture.shot.spoiling is None:
                image, _ = cut_portrait(image, self._located[picture.shot.photograph].box_px)
            self._thumbnails[key] = data_uri(image)
        return self._thumbnails[key]


def data_uri(image: Image) -> str:
    """Return the middle square of a (h, w, 3) uint8 RGB image as a small JPEG inside a URI."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = cv2.resize(
        image[top : top + side, left : left + side], (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA
    )
    buffer = io.BytesIO()
    Pictures.fromarray(np.asarray(square, np.uint8)).save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _ers_series(result: Result) -> dict[str, list[float]]:
    clear = (ProbeKind.CLEAR_MATED, ProbeKind.CLEAR_STRANGER)
    return {
        "clear": [raw for kind in clear for raw in _raw_ers(result.answers[kind])],
        "degraded": [raw for kind in ProbeKind if kind not in clear for raw in _raw_ers(result.answers[kind])],
    }


def _raw_ers(answers: tuple[Answer, ...]) -> list[float]:
    return [answer.gates_on.probe.raw_ers for answer in answers if answer.gates_on.probe]
