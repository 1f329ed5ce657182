"""`ersgallery-server profiles`: make and check recognizability profiles."""

import datetime as dt
import os
from pathlib import Path

import click

from ersgallery_server.cli.model_options import counting_bar, model_errors, models_dir_option, pass_defaults_on

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
@click.pass_context
def profiles(context: click.Context) -> None:
    """Recognizability profiles: where a model's unrecognizable faces gather, and gamma."""
    pass_defaults_on(context)


@profiles.command("make")
@click.option("--model", "name", required=True, help="An installed model of the catalogue.")
@click.option(
    "--faces",
    "source",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="Tar file or folder of clean, aligned 112 x 112 faces named identity/photograph.jpg.",
)
@click.option("--output", required=True, type=_FILE, help="The profile file to write.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Chooses and degrades the faces.")
@click.option(
    "--leave-out",
    multiple=True,
    metavar="IDENTITY",
    help="Somebody whose faces take no part, because they are wanted for a test; may be given several times.",
)
@click.option("--device", default="cpu", show_default=True, help="Where the model runs: auto, cpu or cuda:N.")
@click.option("--threads", type=click.IntRange(1), help="Threads of the model. [default: all cores]")
@models_dir_option
def make(
    name: str,
    source: Path,
    output: Path,
    seed: int,
    leave_out: tuple[str, ...],
    device: str,
    threads: int | None,
    models_dir: Path,
) -> None:
    """Degrade clean faces, find where their embeddings gather, and set gamma so that clean ones pass."""
    # Imported here: --help needs neither ONNX Runtime nor OpenCV.
    from ersgallery_server.faces.pipeline import load_pipeline
    from ersgallery_server.faces.sessions import Inference
    from ersgallery_server.models.catalogue import find_model
    from ersgallery_server.models.profile_file import write_profile
    from ersgallery_server.profiling import AlignedFaces, ProfilePlan, make_profile

    command = f"ersgallery-server profiles make --model {name} --faces {source.name} --output {output.name}"
    provenance = {
        "command": " ".join([f"{command} --seed {seed}", *(f"--leave-out {identity}" for identity in leave_out)]),
        "data": f"{source.name}: clean aligned faces of 112 x 112 pixels, degraded by this command",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    with model_errors():
        package = find_model(name)
        pipeline = load_pipeline(package, models_dir, Inference(device, threads or os.cpu_count() or 1))
        faces = AlignedFaces.open(source).without(leave_out)
        with counting_bar(f"embedding faces with {name}") as progress:
            profile = make_profile(package, faces, pipeline.embed_aligned, ProfilePlan(seed=seed), provenance, progress)
        write_profile(profile, output)
    _report(output, profile.gamma, profile.provenance["figures"])


@profiles.command("show")
@click.argument("path", type=_FILE)
def show(path: Path) -> None:
    """Check a profile file and print how it was made."""
    import json

    from ersgallery_server.models.profile_file import read_profile

    with model_errors():
        profile = read_profile(path)
    click.echo(f"{profile.name}: model {profile.model}, dimension {profile.dimension}, gamma {profile.gamma:g}")
    click.echo(json.dumps(profile.provenance, indent=2))


def _report(output: Path, gamma: float, figures: dict[str, float]) -> None:
    click.echo(
        f"{output}: gamma {gamma:g}; of held-out faces {figures['clean_below_gamma']:.2%} of the clean and "
        f"{figures['degraded_below_gamma']:.1%} of the degraded ones fall below it; "
        f"AUC {figures['auc_clean_against_degraded']:.3f}"
    )
