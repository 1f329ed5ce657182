"""gamma_trade counts what a plain loop over all pairs counts, and refuses what has no answer."""

import numpy as np
import pytest
from ersgallery_index import Representation
from ersgallery_index.calibration import pairs
from ersgallery_index.calibration.gamma import GammaTrade, gamma_trade
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.interface import Ids

GAMMAS = (0.0, 0.3, 0.6)
FARS = (0.1, 0.01)


def people(count: int, faces: int, seed: int = 0, degraded: float = 0.2) -> tuple[Representation, Ids]:
    """Return faces around a centre for each person; a share of them lies near one common point with a low ERS."""
    generator = np.random.default_rng(seed)
    identities = np.repeat(np.arange(count), faces)
    centres = generator.normal(size=(count, 16))[identities]
    common = generator.normal(size=16)
    poor = generator.random(len(identities)) < degraded
    rows = np.where(poor[:, None], 1.5 * common, centres) + 0.55 * generator.normal(size=centres.shape)
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    ers = np.where(poor, 0.1, 0.9) + generator.uniform(-0.1, 0.1, len(identities))
    usable = np.arange(len(identities)) != 5
    return Representation(vectors, ers, ers, usable), identities.astype(np.int64)


def brute_force(faces: Representation, identities: Ids, gamma: float, tau: float) -> tuple[float, float]:
    """Return FRR and FAR over all pairs, one by one."""
    rejected = accepted = genuine = impostor = 0
    for one in range(len(faces)):
        for other in range(one + 1, len(faces)):
            sure = bool(faces.passes(gamma)[[one, other]].all())
            match = sure and float(faces.vectors[one] @ faces.vectors[other]) >= tau
            if identities[one] == identities[other]:
                genuine, rejected = genuine + 1, rejected + (not match)
            else:
                impostor, accepted = impostor + 1, accepted + match
    return rejected / genuine, accepted / impostor


def test_every_cell_is_that_of_a_loop_over_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_BLOCK_ROWS", 7)
    faces, identities = people(12, 4)
    trade = gamma_trade(faces, identities, gammas=GAMMAS, fars=FARS)
    assert [row.gamma for row in trade.rows] == list(GAMMAS)
    for row in trade.rows:
        for cell in row.cells:
            frr, far = brute_force(faces, identities, row.gamma, cell.tau)
            assert cell.frr.value == pytest.approx(frr)
            assert far <= cell.far
            assert cell.frr.low <= cell.frr.value <= cell.frr.high
            # One step lower is too low, unless nobody was left to be accepted.
            _, further = brute_force(faces, identities, row.gamma, cell.tau - 2 / pairs.BINS)
            assert further > cell.far or cell.tau == -1.0


def test_unsure_stays_in_every_denominator() -> None:
    faces, identities = people(20, 3)
    trade = gamma_trade(faces, identities, gammas=(0.0, 1.0), fars=(0.01,))
    last = trade.rows[-1]
    assert trade.genuine == 20 * 3
    assert trade.impostor == (60 * 59) // 2 - 60
    assert (last.faces_unsure, last.genuine_unsure, last.impostor_unsure) == (1.0, 1.0, 1.0)
    assert last.cells[0].frr.value == 1.0
    assert last.cells[0].tau == -1.0


def test_copies_of_one_face_under_two_names_are_refused_by_a_tau_above_one() -> None:
    row = np.zeros((6, 4), np.float32)
    row[:, 0] = 1.0
    faces = Representation(row, np.ones(6), np.ones(6), np.ones(6, np.bool_))
    (cell,) = gamma_trade(faces, np.arange(6) // 2, gammas=(0.0,), fars=(0.01,)).rows[0].cells
    assert cell.tau > float((row @ row.T).max())
    assert cell.frr.value == 1.0


def test_a_gate_that_helps_is_picked_and_its_gain_told() -> None:
    faces, identities = people(150, 6, degraded=0.1)
    trade = gamma_trade(faces, identities, gammas=GAMMAS, fars=(0.02, 0.001), pick_far=0.001)
    assert trade.pick.gamma == 0.3
    assert trade.pick.gain.low > 0.0
    assert trade.pick.supported


def test_a_gate_that_gains_nothing_is_not_picked() -> None:
    faces, identities = people(60, 4, degraded=0.0)
    trade = gamma_trade(faces, identities, gammas=(0.0, 0.85, 0.9), fars=(0.01,))
    assert trade.pick.gamma == 0.0
    assert trade.pick.gain.value == 0.0


def test_cells_with_fewer_than_ten_expected_errors_are_marked() -> None:
    faces, identities = people(40, 3)
    trade = gamma_trade(faces, identities, gammas=(0.0,), fars=(0.1, 1e-4))
    assert [cell.supported for cell in trade.rows[0].cells] == [True, False]
    assert trade.pick.far == 0.1


def test_gammas_come_from_the_faces_own_ers_where_none_are_asked_for() -> None:
    faces, identities = people(40, 3)
    gammas = [row.gamma for row in gamma_trade(faces, identities).rows]
    assert gammas[0] == 0.0
    assert gammas == sorted(set(gammas))
    assert 0.7 < gammas[-1] < 1.0


def test_progress_counts_blocks_then_identities_and_may_end_the_work() -> None:
    faces, identities = people(10, 2)
    seen: list[tuple[int, int]] = []
    gamma_trade(faces, identities, gammas=(0.0,), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 1), (0, 10), (10, 10)]
    for last in seen:

        def stop(done: int, total: int, last: tuple[int, int] = last) -> None:
            if (done, total) == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            gamma_trade(faces, identities, gammas=(0.0,), progress=stop)


def refused(faces: Representation, identities: Ids, **options: object) -> str:
    with pytest.raises(CalibrationFailed) as caught:
        _any_options(faces, identities, **options)
    return caught.value.reason


def _any_options(faces: Representation, identities: Ids, **options: object) -> GammaTrade:
    return gamma_trade(faces, identities, **options)  # type: ignore[arg-type] # the options of each case


def test_what_has_no_answer_is_refused_with_a_stable_reason() -> None:
    faces, identities = people(10, 2)
    assert refused(faces, identities[:-1]) == "LABELS_MISMATCH"
    assert refused(faces, np.zeros(20, dtype=np.int64)) == "TOO_FEW_IDENTITIES"
    assert refused(faces, np.arange(20)) == "NO_GENUINE_PAIR"
    assert refused(faces, identities, fars=()) == "BAD_TARGET"
    assert refused(faces, identities, fars=(0.0,)) == "BAD_TARGET"
    assert refused(faces, identities, gammas=(1.5,)) == "BAD_TARGET"
    assert refused(faces, identities, pick_far=0.5) == "BAD_TARGET"
    faces.vectors[3, 2] = np.nan
    assert refused(faces, identities) == "NOT_FINITE"
