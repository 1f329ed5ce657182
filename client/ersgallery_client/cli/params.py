"""Arguments and options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ersgallery_client.cli.session import Session
from ersgallery_client.values.policies import (
    DuplicateCheck,
    IndexKind,
    LowErsPolicy,
    SearchPolicy,
    SeveralFacesPolicy,
    SubjectSearch,
    Weighting,
)

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

GATE = click.FloatRange(0.0, 1.0)
SIMILARITY = click.FloatRange(-1.0, 1.0)
MARGIN = click.FloatRange(0.0, 2.0)
WEIGHTING = click.Choice([each.lower() for each in Weighting if each is not Weighting.UNSPECIFIED])


class OrDefault(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """A number, or the word `default` for the setting's default, which reads as None inside a tuple."""

    name = "number"

    def __init__(self, number: click.FloatRange | click.IntRange) -> None:
        self._number = number

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of the number or None, so that an option that is not given stays distinct."""
        if isinstance(value, tuple):
            return value
        return (None,) if value == "default" else (self._number.convert(value, param, ctx),)


class Metadata(click.ParamType):  # type: ignore[type-arg]  # as above
    """KEY=VALUE."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the key and the value."""
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key, text


def json_option(function: FunctionT) -> FunctionT:
    """Let --json also stand after the command."""

    def turn_on(ctx: click.Context, _: click.Parameter, given: bool) -> None:
        if given:
            ctx.ensure_object(Session).json = True

    return click.option("--json", is_flag=True, expose_value=False, callback=turn_on, help="Print one JSON document.")(
        function
    )


def index_kind_option(function: FunctionT) -> FunctionT:
    """Say how faces are searched."""
    return click.option(
        "--index-kind",
        type=click.Choice(["auto", "exact", "fast", "approximate"]),
        help="How faces are searched. fast: the same answers, several times faster, a quarter more memory. "
        "approximate: single probes faster still; it can miss a face.",
    )(function)


def duplicate_check_option(function: FunctionT) -> FunctionT:
    """Say what happens to a face that is similar to another subject."""
    return click.option(
        "--duplicate-check",
        type=click.Choice(["off", "warn", "refuse"]),
        help="Compare each recognizable face that is enrolled with the other subjects, and warn of a similar one or "
        "refuse the face.",
    )(function)


def template_options(function: FunctionT) -> FunctionT:
    """Say by what subjects are found, and how their templates are made."""
    for option in (
        click.option(
            "--template-media-pooling/--no-template-media-pooling",
            default=None,
            help="Average the faces of one media first; of use only where faces come with media ids.",
        ),
        click.option(
            "--template-weighting",
            type=WEIGHTING,
            help="How the faces of a template are weighted by their ERS.",
        ),
        click.option(
            "--subject-search",
            type=click.Choice(["best-face", "template"]),
            help="Find subjects by their best face, or by the ERS-weighted template of all their faces.",
        ),
    ):
        function = option(function)
    return function


def template_settings(settings: dict[str, Any], *, default: str | None) -> dict[str, Any]:
    """Return the settings with the words of these and the next options as values, less those that were not given.

    default: the search where none is given, None where the server knows it. Raises click.UsageError for wishes for
    templates where there are none.
    """
    chosen = dict(settings)
    if (chosen["subject_search"] or default) == "best-face":
        for option in ("template_weighting", "template_media_pooling"):
            if chosen[option]:
                raise click.UsageError(f"--{option.replace('_', '-')} needs --subject-search template")
    search, weighting = chosen.pop("subject_search"), chosen.pop("template_weighting")
    if search:
        chosen["subject_search"] = SubjectSearch(search.replace("-", "_").upper())
    if kind := chosen.pop("index_kind"):
        chosen["index_kind"] = IndexKind(kind.upper())
    if check := chosen.pop("duplicate_check", None):
        chosen["duplicate_check"] = DuplicateCheck(check.upper())
    if weighting:
        chosen["template_weighting"] = Weighting(weighting.upper())
    if chosen["template_media_pooling"] is None:
        del chosen["template_media_pooling"]
    return chosen


def yes_option(function: FunctionT) -> FunctionT:
    """Let a command that deletes be run without a question."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(function)


def several_faces_option(function: FunctionT) -> FunctionT:
    """Choose what happens to photographs with several faces."""
    return click.option(
        "--several-faces",
        type=click.Choice(["largest", "reject"]),
        help="Of a photograph with several faces take the largest, or none.",
    )(function)


def policy_options(function: FunctionT) -> FunctionT:
    """Decide one request differently from its gallery."""
    for option in (
        click.option("--tau", type=SIMILARITY, help="Similarity from which it is a MATCH, for this request."),
        click.option("--gamma-gallery", type=GATE, help="Gallery gate for this request; 0 turns it off."),
        click.option("--gamma", type=GATE, help="Probe gate for this request; 0 turns it off."),
    ):
        function = option(function)
    return several_faces_option(function)


def several_faces_policy(text: str | None) -> SeveralFacesPolicy:
    """Return the policy that an option names."""
    return SeveralFacesPolicy(text.upper()) if text else SeveralFacesPolicy.UNSPECIFIED


def low_ers_policy(text: str | None) -> LowErsPolicy:
    """Return the policy that an option names."""
    return LowErsPolicy(text.upper()) if text else LowErsPolicy.UNSPECIFIED


def search_policy(
    *,
    gamma: float | None,
    gamma_gallery: float | None,
    tau: float | None,
    several_faces: str | None,
    margin: float | None = None,
    max_candidates: int = 0,
    include_filtered: bool = False,
) -> SearchPolicy:
    """Return the policy that the options name."""
    return SearchPolicy(
        gamma=gamma,
        gamma_gallery=gamma_gallery,
        tau=tau,
        margin=margin,
        max_candidates=max_candidates,
        include_filtered=include_filtered,
        several_faces=several_faces_policy(several_faces),
    )
