"""`ersgallery-server thresholds`: gamma and tau from one's own labelled faces."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from ersgallery_server.cli.model_options import counting_bar, model_errors, pass_defaults_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from ersgallery_index import Profile, Representation

    from ersgallery_server.thresholds import LabelledEmbeddings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_SHARE = click.FloatRange(0.0, 1.0, min_open=True, max_open=True)
_GATE = click.FloatRange(0.0, 1.0)

# The names of ersgallery_index.Weighting, which --help does not load.
_WEIGHTINGS = ("uniform", "identity", "square", "softmax", "top_1", "top_10_percent")


class _Wishes(TypedDict):
    gammas: tuple[float, ...] | None
    fars: tuple[float, ...]
    pick_far: float | None
    seed: int


_Command = TypeVar("_Command", bound="Callable[..., Any]")


def _common_options(command: _Command) -> _Command:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Draws people at random."),
        click.option(
            "--labels",
            type=_FILE,
            help="Text file with a line `Identity/photograph` for each embedding, unless the .npz file has `identity`.",
        ),
        click.option(
            "--embeddings",
            "path",
            required=True,
            type=_FILE,
            help=".npz file: `embedding` (n, d) as the model gives it, and perhaps `identity` (n,), whom a row shows.",
        ),
    ):
        command = option(command)
    return command


@click.group()
@click.pass_context
def thresholds(context: click.Context) -> None:
    """gamma and tau from your own labelled faces: what each costs, and how sure that is.

    \b
    gamma, the recognizability below which a face is UNSURE, from all pairs of your faces:
      ersgallery-server thresholds gamma --embeddings faces.npz --profile profile.json
    tau, the similarity from which a candidate is a MATCH, from a wanted share of falsely matched strangers
    (FPIR) and the number of people your gallery will have:
      ersgallery-server thresholds tau --embeddings faces.npz --profile profile.json \\
          --fpir 0.01 --gallery-size 100000
    and whether such a tau holds for people it was not chosen on:
      ersgallery-server thresholds check --embeddings faces.npz --profile profile.json
    """  # noqa: D301, D403 - click wants the character \b; gamma is a symbol
    pass_defaults_on(context)


@thresholds.command("gamma")
@_common_options
@click.option("--profile", "profile_path", required=True, type=_FILE, help="Profile file of the embeddings' model.")
@click.option("--gamma", "gammas", multiple=True, type=_GATE, help="A gamma to try; several. [default: from the faces]")
@click.option(
    "--far",
    "fars",
    multiple=True,
    type=_SHARE,
    default=(1e-2, 1e-3, 1e-4, 1e-5),
    show_default=True,
    help="Share of impostor pairs that may be accepted; several.",
)
@click.option("--pick-far", type=_SHARE, help="FAR that the pick is for. [default: the least that is supported]")
@click.option(
    "--sets",
    "set_faces",
    type=click.IntRange(1),
    metavar="FACES",
    help="Compare templates of up to so many faces of one person, dealt at random: a gamma for sets.",
)
@click.option(
    "--weighting",
    type=click.Choice(_WEIGHTINGS, case_sensitive=False),
    help="With --sets: how the faces of a template are weighted by their ERS. [default: square]",
)
def choose_gamma(
    path: Path,
    labels: Path | None,
    profile_path: Path,
    gammas: tuple[float, ...],
    fars: tuple[float, ...],
    pick_far: float | None,
    set_faces: int | None,
    weighting: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Verify every pair of faces under several gammas, and show FRR at several FARs for each.

    An UNSURE pair is a reject and stays in every denominator. A person needs two faces to make a genuine pair. The pick
    is the smallest gamma that cannot be told from the best; on clean faces that is 0, since a gate then only costs.

    A template's ERS is the mean of its faces', so the gate of a gallery that is searched by templates needs a gamma
    of its own: --sets. Each person's faces are dealt into sets of at most that many, two sets at least.
    """
    if weighting is not None and set_faces is None:
        raise click.UsageError("--weighting needs --sets: single faces have no weights")
    if pick_far is not None and pick_far not in fars:
        counted = ", ".join(f"{far:g}" for far in fars)
        raise click.BadParameter(f"{pick_far:g} is not one of --far: {counted}", param_hint="--pick-far")
    from ersgallery_index import Derivation, Weighting, represent
    from ersgallery_index.calibration.gamma import SetPlan, gamma_trade
    from ersgallery_index.calibration.gamma_of_sets import gamma_trade_of_sets

    from ersgallery_server.thresholds.tables import print_json, show_trade

    with model_errors():
        people = _people(path, labels)
        derivation = Derivation(_profile(profile_path, people))
        with counting_bar("comparing all pairs") as progress:
            wishes: _Wishes = {"gammas": gammas or None, "fars": fars, "pick_far": pick_far, "seed": seed}
            if set_faces is None:
                faces = represent(derivation, people.unit)
                trade = gamma_trade(faces, people.identities, **wishes, progress=progress)
            else:
                plan = SetPlan(set_faces, Weighting((weighting or "square").upper()))
                trade = gamma_trade_of_sets(
                    derivation, people.unit, people.identities, plan, **wishes, progress=progress
                )
    if as_json:
        print_json(trade)
    else:
        show_trade(trade)


@thresholds.command("tau")
@_common_options
@click.option("--profile", "profile_path", required=True, type=_FILE, help="Profile file of the embeddings' model.")
@click.option("--fpir", required=True, type=_SHARE, help="Share of strangers that may be matched, UNSURE ones counted.")
@click.option("--gallery-size", required=True, type=click.IntRange(1), help="People that the gallery will have.")
@click.option("--gamma", type=_GATE, help="Probe gate. [default: the profile's]")
@click.option("--gamma-gallery", type=_GATE, help="Gallery gate. [default: as --gamma]")
@click.option(
    "--strangers", type=_FILE, help=".npz file with `embedding` of people who are not enrolled, to be the probes."
)
@click.option(
    "--per-person",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Faces of one person that are probes, where there are no --strangers.",
)
def choose(
    path: Path,
    labels: Path | None,
    profile_path: Path,
    fpir: float,
    gallery_size: int,
    gamma: float | None,
    gamma_gallery: float | None,
    strangers: Path | None,
    per_person: int,
    seed: int,
    as_json: bool,
) -> None:
    """Choose tau so that of non-mated probes no more than --fpir are matched in a gallery of --gallery-size people.

    Without --strangers every person is searched against all others. Beyond the number of people in the file the tail
    of the best scores is extrapolated; the interval says how sure that is, and warnings say where it is not.
    """
    from ersgallery_index.calibration.non_mated import (
        STRANGER,
        closest_pairs,
        leave_one_subject_out,
        non_mated_scores,
    )
    from ersgallery_index.calibration.tau import choose_tau

    from ersgallery_server.thresholds.tables import NamedPair, print_json, show_closest, show_tau

    with model_errors():
        profile, faces, people = _faces(path, labels, profile_path)
        gate = profile.gamma if gamma is None else gamma
        gallery_gate = gate if gamma_gallery is None else gamma_gallery
        with counting_bar("searching") as progress:
            if strangers is None:
                scores = leave_one_subject_out(
                    faces,
                    people.identities,
                    gamma=gate,
                    gamma_gallery=gallery_gate,
                    per_person=per_person,
                    seed=seed,
                    progress=progress,
                )
            else:
                probes = _strangers(strangers, profile)
                owners = _nobody(len(probes), STRANGER)
                scores = non_mated_scores(
                    probes,
                    owners,
                    faces,
                    people.identities,
                    gamma=gate,
                    gamma_gallery=gallery_gate,
                    progress=progress,
                )
        with counting_bar("choosing tau") as progress:
            choice = choose_tau(scores, fpir, gallery_size, seed=seed, progress=progress)
    close = [NamedPair.of(pair, people.people) for pair in closest_pairs(scores)]
    if as_json:
        print_json({"choice": choice, "gamma": gate, "gamma_gallery": gallery_gate, "closest": close})
    else:
        show_tau(choice, gate, gallery_gate)
        show_closest(close)


@thresholds.command("check")
@_common_options
@click.option("--profile", "profile_path", type=_FILE, help="Profile file of the embeddings' model. [default: no gate]")
@click.option("--centre", is_flag=True, help="Without a profile: subtract the mean of the people tau is chosen on.")
@click.option("--gamma", type=_GATE, help="Both gates. [default: the profile's gamma, or 0]")
@click.option(
    "--fpir",
    "targets",
    multiple=True,
    type=_SHARE,
    default=(0.1, 0.01),
    show_default=True,
    help="Wanted FPIR; several.",
)
@click.option(
    "--subjects",
    multiple=True,
    type=click.IntRange(2),
    default=(280, 930, 2800),
    show_default=True,
    help="People that tau is chosen on; several.",
)
@click.option(
    "--gallery-size",
    "sizes",
    multiple=True,
    type=click.IntRange(1),
    default=(280, 930, 2800),
    show_default=True,
    help="People of the gallery that it is chosen for and counted in; several.",
)
@click.option("--repetitions", default=3, show_default=True, type=click.IntRange(1), help="Draws of the two halves.")
def check(
    path: Path,
    labels: Path | None,
    profile_path: Path | None,
    centre: bool,
    gamma: float | None,
    targets: tuple[float, ...],
    subjects: tuple[int, ...],
    sizes: tuple[int, ...],
    repetitions: int,
    seed: int,
    as_json: bool,
) -> None:
    """Choose tau on one half of the people and count false positives on the other: achieved FPIR over wanted."""
    from ersgallery_index.calibration.tau_experiment import TauPlan, summarize, tau_experiment

    from ersgallery_server.thresholds.tables import print_json, show_checks

    with model_errors():
        people = _people(path, labels)
        profile = None if profile_path is None else _profile(profile_path, people)
        gate = gamma if gamma is not None else (profile.gamma if profile else 0.0)
        if profile is None and gate > 0.0:
            raise click.UsageError("--gamma needs --profile: without UI centroids there is no recognizability")
        plan = TauPlan(targets, subjects, sizes, repetitions, seed, centre, gate, gate)
        with counting_bar("choosing and counting") as progress:
            checks = tau_experiment(people.unit, people.identities, plan, profile=profile, progress=progress)
    if as_json:
        print_json({"plan": plan, "checks": checks, "summary": summarize(checks)})
    else:
        show_checks(summarize(checks))


def _people(path: Path, labels: Path | None) -> "LabelledEmbeddings":
    from ersgallery_server.thresholds import LabelledEmbeddings

    return LabelledEmbeddings.read(path, labels)


def _profile(path: Path, people: "LabelledEmbeddings") -> "Profile":
    from ersgallery_server.models.profile_file import read_profile

    file = read_profile(path)
    people.require_dimension(file.dimension, f"profile {file.name}")
    return file.profile()


def _faces(path: Path, labels: Path | None, profile_path: Path) -> "tuple[Profile, Representation, LabelledEmbeddings]":
    from ersgallery_index import Derivation, represent

    people = _people(path, labels)
    profile = _profile(profile_path, people)
    return profile, represent(Derivation(profile), people.unit), people


def _strangers(path: Path, profile: "Profile") -> "Representation":
    from ersgallery_index import Derivation, normalize, represent

    from ersgallery_server.thresholds.labelled_embeddings import read_embeddings

    return represent(Derivation(profile), normalize(read_embeddings(path), profile.dimension).vectors)


def _nobody(count: int, stranger: int) -> Any:
    import numpy as np

    return np.full(count, stranger, dtype=np.int64)
