"""Manifests are read strictly, and those in the catalogue are sound."""

from importlib import resources

import pytest
from ersgallery_server.models.catalogue import catalogue, default_model, find_model
from ersgallery_server.models.errors import InvalidManifest, UnknownModel
from ersgallery_server.models.manifest import Role, parse_manifest

SFACE = (resources.files("ersgallery_server.models.catalogue") / "sface.toml").read_text(encoding="utf-8")


def test_the_catalogue_has_the_four_models_and_sface_is_the_default() -> None:
    assert [package.name for package in catalogue()] == ["sface", "edgeface-s", "mobilefacenet", "sface-int8"]
    assert default_model().name == "sface"


def test_the_default_may_be_used_commercially_and_the_restricted_ones_say_so() -> None:
    restricted = {package.name for package in catalogue() if package.non_commercial_licences}
    assert restricted == {"mobilefacenet", "edgeface-s"}


def test_every_file_has_a_licence_text_and_a_source() -> None:
    for package in catalogue():
        texts = {licence.id: licence.text for licence in package.licences}
        for role in Role:
            found = package.file(role)
            assert len(texts[found.licence]) > 100
            assert found.sources


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match="sface, edgeface-s, mobilefacenet, sface-int8") as caught:
        find_model("arcface")
    assert caught.value.reason == "MODEL_UNKNOWN"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("format = 1", "format = 2", "format is 2"),
        ('name = "sface"', 'name = "../sface"', "plain file name"),
        ('name = "sface"', "", "name"),
        ("8f2383e4", "8F2383E4", "sha256"),
        ('role = "detector"', 'role = "recognizer"', "exactly one detector"),
        ('role = "detector"', 'role = "painter"', "painter"),
        ('licence = "MIT"', 'licence = "GPL-3.0"', "licences"),
        ("std = 1.0", "std = 0.0", "out of range"),
        ('colour = "RGB"', 'colour = "GBR"', "out of range"),
        ("size_px = 112", "size_px = 112\nsize = 3", "size"),
        ("[output]", "[output", "no TOML"),
        ('name = "sface"', "name = true", "sface.toml: "),
        ('profile = "sface.json"', "profile = 3", "sface.toml: "),
        ("dimension = 128", "dimension = {}", "sface.toml: "),
        ('licence = "MIT"', 'licence = ["MIT"]', "sface.toml: "),
        ('name = "sface"', "name = " + "[" * 5000, "no TOML"),
    ],
)
def test_a_broken_manifest_is_an_error_that_says_what_is_wrong(old: str, new: str, problem: str) -> None:
    assert old in SFACE
    with pytest.raises(InvalidManifest, match=problem):
        parse_manifest(SFACE.replace(old, new, 1), "sface.toml")
