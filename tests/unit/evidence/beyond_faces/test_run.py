"""From embedded images to tables, on embeddings with a place where the unreadable gather."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from ersgallery_index import normalize
from ersgallery_index.errors import CalibrationFailed
from ersgallery_server.evaluation.tables import Figure, Table
from numpy.typing import NDArray
from PIL import Image

from tests.evidence.beyond_faces.__main__ import document, main
from tests.evidence.beyond_faces.protocol import Plan, Samples, draw_samples
from tests.evidence.beyond_faces.run import Beyond, draw_images, measure
from tests.evidence.beyond_faces.tables import verdict
from tests.evidence.beyond_faces.typefaces import read_typeface

CHARACTERS, DIMENSION = 800, 64
PLAN = Plan(resamples=100)


def embedded(samples: Samples, rng: np.random.Generator, *, gather: bool) -> NDArray[np.float32]:
    """Return rows that leave their character's direction with severity: for one place, or for one place each."""
    directions = rng.normal(size=(0x10000, DIMENSION))[samples.characters]
    lost = rng.normal(size=DIMENSION) if gather else rng.normal(size=directions.shape)
    noise = 0.3 * rng.normal(size=directions.shape)
    severity = np.minimum(samples.severities[:, None] * 1.2, 1.0)
    return normalize(((1 - severity) * (directions + noise) + severity * lost).astype(np.float32), DIMENSION).vectors


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Return the samples of 800 characters in six typefaces."""
    return draw_samples(PLAN, list(range(0x5000, 0x5000 + CHARACTERS)), 6)


def blank(samples: Samples) -> NDArray[np.uint8]:
    return np.full((len(samples), 48, 48), 255, np.uint8)


@pytest.fixture(scope="module")
def beyond(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Beyond:
    """Return what is measured on embeddings whose unreadable images gather in one place."""
    rows = embedded(samples, np.random.default_rng(0), gather=True)
    return measure(tmp_path_factory.mktemp("beyond"), PLAN, samples, blank(samples), rows)


def table(beyond: Beyond, key: str) -> Table:
    return next(each for each in beyond.tables if each.key == key)


def test_a_place_where_the_unreadable_gather_is_found_and_named(beyond: Beyond) -> None:
    clusters = {str(row[0]): row[1:3] for row in table(beyond, "beyond-cluster").rows}
    largest, second = clusters[f"{PLAN.max_distance:.1f}"]
    assert isinstance(largest, int)
    assert isinstance(second, int)
    assert largest >= 10 * second
    assert 0 < beyond.built.profile.gamma < 1


def test_a_severe_image_is_below_gamma_and_a_clean_one_is_not(beyond: Beyond) -> None:
    below = {str(row[0]): row[3] for row in table(beyond, "beyond-severity").rows}
    clean, severe = below["clean"], below["0.8 to 1.0, kinds seen in calibration"]
    assert isinstance(clean, Figure)
    assert isinstance(severe, Figure)
    assert clean.value < 0.02
    assert severe.value > 0.9


def test_the_result_is_json_with_every_table_and_its_intervals(beyond: Beyond) -> None:
    read = json.loads(document(beyond))
    assert read["plan"]["seed"] == 0
    assert [each["key"] for each in read["tables"]] == [
        "beyond-cluster",
        "beyond-retrieval",
        "beyond-queries",
        "beyond-severity",
        "beyond-strangers",
    ]
    first = read["tables"][1]["rows"][0][1]
    assert first["low"] <= first["value"] <= first["high"]


def test_a_picture_of_the_test_s_images_is_written(beyond: Beyond) -> None:
    with Image.open(beyond.sheet) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 24 * 48


def test_embeddings_without_such_a_place_give_no_tables(samples: Samples, tmp_path: Path) -> None:
    rows = embedded(samples, np.random.default_rng(0), gather=False)
    with pytest.raises(CalibrationFailed):
        measure(tmp_path, PLAN, samples, blank(samples), rows)
    assert not list(tmp_path.iterdir())


def test_every_sample_is_drawn_by_its_typeface_and_spoilt_by_its_kind(box_files: list[Path]) -> None:
    toy = read_typeface("toy", box_files)
    drawn = list(toy.drawn_by)
    few = Samples(
        characters=np.array([drawn[0], drawn[0], drawn[1]]),
        typefaces=np.zeros(3, np.int16),
        parts=np.zeros(3, np.int8),
        kinds=np.array([-1, 0, -1], np.int16),
        severities=np.array([0.0, 0.9, 0.0]),
    )
    told: list[int] = []
    images = draw_images(few, [toy], 0, lambda _what, done, _total: told.append(done))
    assert np.array_equal(images[0], toy.draw(drawn[0]))
    assert np.array_equal(images[2], toy.draw(drawn[1]))
    assert images[1].min() > 50
    assert told == [1, 2, 3]


def test_a_verdict_calls_no_gain_what_its_interval_leaves_open() -> None:
    row = ("gain by both gates", Figure(0.1, 0.05, 0.2), Figure(-0.1, -0.2, -0.05), Figure(0.1, -0.1, 0.3), None)
    columns = ("search", "mAP", "rank 1", "rank 5", "unsure queries")
    assert verdict(row, columns) == "Gain by both gates: raises mAP; lowers rank 1; leaves open rank 5."


def test_without_a_network_the_command_says_that_the_first_run_needs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    result = CliRunner().invoke(main, ["--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "the first run needs a network: rapidocr-onnxruntime cannot be had" in result.output
