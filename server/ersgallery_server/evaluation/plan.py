"""The protocol of an evaluation: who is who, what is degraded how, and what is measured. Fixed before any result."""

from dataclasses import dataclass
from enum import Enum

from ersgallery_server.faces.degrade import Degradation


class Part(Enum):
    """What an identity is for; no identity is in two parts.

    MAKING: mean and UI centroids. VALIDATION: gamma, K and centring. TEST: the results. WILD: nobody knows who.
    """

    MAKING = "MAKING"
    VALIDATION = "VALIDATION"
    TEST = "TEST"
    WILD = "WILD"


class Role(Enum):
    """What a sample is for.

    SINGLE: a photograph on its own, clean or degraded. FRAME: a further degraded view of a photograph, for sets. LEVEL:
    one of a series of levels of each kind of degradation.
    """

    SINGLE = "SINGLE"
    FRAME = "FRAME"
    LEVEL = "LEVEL"


@dataclass(frozen=True, slots=True)
class CorpusPlan:
    """How a corpus is drawn from labelled clean faces.

    seed: of every draw. making_share, validation_share: of the identities; the rest is the test.
    photographs_per_identity: most that are taken of one person, so that a few people do not decide every figure.
    severities: bounds of the severity of a degraded view, drawn evenly: some views are merely hard.
    levels: severities of the series; level_photographs: photographs that are shown at every kind and level.
    frames_per_photograph: further degraded views of each photograph of test people with several photographs.
    """

    seed: int = 0
    making_share: float = 0.3
    validation_share: float = 0.2
    photographs_per_identity: int = 10
    severities: tuple[float, float] = (0.2, 1.0)
    levels: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    level_photographs: int = 100
    frames_per_photograph: int = 2
    frame_photographs_per_identity: int = 6


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What is measured on a corpus.

    unseen: kinds of degradation that no part of a profile ever sees: neither mean, centroids, gamma nor tau; one, drawn
        by seed 0 before any result.
    calibration_degraded_share: of the clean faces that make a profile, how many are shown degraded instead.
    degraded_share: how many of the test's photographs are degraded in the mixed protocols.
    max_clean_below: greatest share of clean validation faces below gamma.
    fars, fpirs: working points. resamples: bootstrap samples of each interval.
    """

    seed: int = 0
    unseen: tuple[Degradation, ...] = (Degradation.LOW_LIGHT,)
    calibration_degraded_share: float = 0.5
    degraded_share: float = 0.2
    max_clean_below: float = 0.005
    fars: tuple[float, ...] = (1e-6, 1e-5, 1e-4, 1e-3)
    fpirs: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)
    resamples: int = 500
