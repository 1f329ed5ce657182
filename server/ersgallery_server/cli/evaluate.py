"""`ersgallery-server evaluate`: what recognizability is worth on one's own faces."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ersgallery_server.cli.model_options import counting_bar, model_errors, models_dir_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ersgallery_server.evaluation.bench import Bench
    from ersgallery_server.evaluation.corpus import Corpus
    from ersgallery_server.evaluation.remote_server import RemoteServer
    from ersgallery_server.evaluation.runner import Evaluation

_THERE = click.Path(path_type=Path, exists=True)

_EPILOG = """\b
From images, with a model of the catalogue:
  ersgallery-server evaluate --model sface --faces FACES --wild CROPS --out evaluation
\b
From embeddings of your own model:
  ersgallery-server evaluate --model mymodel --embeddings mine.npz --out evaluation
\b
One protocol alone, and the harm through a server that runs:
  ersgallery-server evaluate --model sface --faces FACES --cache cache --protocol T1
  ersgallery-server evaluate --model sface --faces FACES --cache cache --protocol service --server 127.0.0.1:50061

FACES is a tar file or a folder of clean, aligned 112 x 112 faces named identity/photograph.jpg; CROPS one of unlabelled
faces of poor quality. --wild-sizes, how large these were in their photographs, is a CSV that begins with
photograph,face_px, or has one number a line in the order of their sorted names. An .npz file has an array embedding
(n, d) and, each (n,), identity, kind (GAUSSIAN_BLUR, ...; CLEAN for a clean face) and severity. People are dealt into
three parts: 30 % make the profile, 20 % choose gamma and tau, and 50 % are the test, so 498 people are needed. With
--profile nothing is made, the test stays the same people, and 40 are enough.

\b
Protocols, by name or by table:
  single (T1, T10)           single photographs, clean and degraded, in pairs
  natural                    unlabelled faces of naturally poor quality (--wild)
  levels (F3)                error by kind and level of degradation
  sets (T2, T3, T5, T6)      pooling, open-set search, weightings, enhanced features
  sources (T4), trade (T11)  UI centroids from several sources; error against gamma
  harm, service              degraded strangers and degraded enrolments, here and through --server
  bias                       by group (--groups: a CSV that begins with identity,age,... or photograph,...)

--out gets summary.json (all figures), tables.md and index.html (with charts). A figure with fewer than 10 expected
errors is marked with a dagger; UNSURE stays in every denominator, and is an error where somebody should have been
recognized.
"""


@click.command(context_settings={"show_default": True}, epilog=_EPILOG)
@click.option("--model", required=True, help="A model of the catalogue that is installed; with --embeddings any name.")
@click.option("--faces", type=_THERE, help="Clean, aligned, labelled faces: a tar file or a folder.")
@click.option("--embeddings", type=_THERE, help="Embeddings with their labels instead of faces: an .npz file.")
@click.option("--wild", type=_THERE, help="Unlabelled faces of poor quality (with --embeddings: a kept corpus).")
@click.option("--wild-sizes", type=_THERE, help="Size in pixels of each of --wild: a CSV or one number a line.")
@click.option("--groups", type=_THERE, help="Attributes of people or photographs: a CSV.")
@click.option("--profile", type=_THERE, help="Measure this profile file instead of making one.")
@click.option("--protocol", "protocols", multiple=True, help="What to measure; may be repeated.  [default: all]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for what is written.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Folder where embeddings are kept.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Of every draw.")
@click.option("--resamples", default=500, type=click.IntRange(20), help="Bootstrap samples of each interval.")
@click.option("--server", metavar="HOST:PORT", help="A running server, for the protocol `service`.")
@click.option(
    "--server-ca", type=_THERE, help="PEM file of authorities that its certificate is trusted for: turns TLS on."
)
@click.option(
    "--server-token-file", type=_THERE, help="File with a token for it, of the scopes admin, enroll and identify."
)
@click.option("--progress/--no-progress", default=True, help="Show bars with the time left.")
@click.option("--device", default="cpu", help="Where the model runs: auto, cpu or cuda:N.")
@click.option("--threads", type=click.IntRange(1), help="Threads of the model.  [default: all cores]")
@models_dir_option
def evaluate(**options: Any) -> None:
    """Measure what the gates and the weighting are worth on faces: the paper's tables, with intervals.

    The faces are degraded and embedded once, a profile is made of some of the people, and the protocols are run on
    others.
    """
    request = _Request(**options)
    request.check()
    with model_errors(), _other_errors():
        _write(request, _measure(request))


@dataclass(frozen=True, slots=True)
class _Request:
    """The options of one call."""

    model: str
    faces: Path | None
    embeddings: Path | None
    wild: Path | None
    wild_sizes: Path | None
    groups: Path | None
    profile: Path | None
    protocols: tuple[str, ...]
    out: Path | None
    cache: Path | None
    seed: int
    resamples: int
    server: str | None
    server_ca: Path | None
    server_token_file: Path | None
    progress: bool
    device: str
    threads: int | None
    models_dir: Path

    def check(self) -> None:
        """Raise click.UsageError for options that contradict each other."""
        from ersgallery_server.evaluation.runner import choose_protocols

        if (self.faces is None) is (self.embeddings is None):
            raise click.UsageError("give one of --faces and --embeddings")
        if self.embeddings and self.cache:
            raise click.UsageError("--cache keeps embeddings of --faces")
        if self.wild_sizes and not self.wild:
            raise click.UsageError("--wild-sizes tells the sizes of --wild")
        try:
            chosen = choose_protocols(self.protocols)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        # Known before the faces are embedded, which takes minutes.
        needs = {
            "service": ("--server", self.server),
            "bias": ("--groups", self.groups),
            "natural": ("--wild", self.wild),
        }
        for protocol, (option, given) in needs.items():
            if self.protocols and protocol in chosen and given is None:
                raise click.UsageError(f"the protocol {protocol} needs {option}")

    @contextlib.contextmanager
    def bar(self, what: str) -> Iterator[Callable[[int, int], None] | None]:
        """Show progress, unless it is not wanted."""
        with counting_bar(what) if self.progress else contextlib.nullcontext() as bar:
            yield bar


def _measure(request: _Request) -> "Evaluation":
    from ersgallery_server.evaluation.groups import Groups
    from ersgallery_server.evaluation.runner import evaluate as run

    groups = Groups.read(request.groups) if request.groups else None
    sizes = _sizes(request)
    bench = replace(_bench(request, *_corpora(request)), wild_px=sizes)
    with request.bar("measuring") as bar:
        return run(
            bench,
            protocols=request.protocols,
            groups=groups,
            server=_server(request),
            progress=(lambda _, done, total: bar(done, total)) if bar else None,
        )


def _server(request: _Request) -> "RemoteServer | None":
    from ersgallery_server.evaluation.remote_server import RemoteServer

    if request.server is None:
        return None
    token = request.server_token_file
    return RemoteServer(
        request.server,
        None if request.server_ca is None else request.server_ca.read_bytes(),
        None if token is None else token.read_text(encoding="ascii").strip(),
    )


def _sizes(request: _Request) -> "NDArray[np.float64] | None":
    """Return the size of each unlabelled face; read before faces are embedded, which takes minutes."""
    from ersgallery_server.evaluation.corpus import Corpus
    from ersgallery_server.evaluation.sizes import read_sizes
    from ersgallery_server.profiling.aligned_faces import AlignedFaces

    if request.wild is None or request.wild_sizes is None:
        return None
    names = Corpus.load(request.wild).names if request.embeddings else AlignedFaces.open(request.wild).names
    return read_sizes(request.wild_sizes, names)


def _corpora(request: _Request) -> "tuple[Corpus, Corpus | None]":
    from ersgallery_server.evaluation import preparing
    from ersgallery_server.evaluation.corpus import Corpus
    from ersgallery_server.evaluation.plan import CorpusPlan

    plan = CorpusPlan(seed=request.seed)
    if request.embeddings:
        corpus = preparing.read_corpus(request.embeddings, request.model, plan, making_profile=request.profile is None)
        return corpus, Corpus.load(request.wild) if request.wild else None
    if request.faces is None:
        raise click.UsageError("give one of --faces and --embeddings")
    files = preparing.FaceFiles(request.faces, request.wild, request.cache)
    with request.bar(f"embedding faces with {request.model}") as bar:
        return preparing.embed_corpora(
            request.model,
            request.models_dir,
            files,
            plan,
            device=request.device,
            threads=request.threads,
            progress=bar,
            making_profile=request.profile is None,
        )


def _bench(request: _Request, corpus: "Corpus", wild: "Corpus | None") -> "Bench":
    from ersgallery_server.evaluation.bench import make_bench
    from ersgallery_server.evaluation.plan import EvaluationPlan
    from ersgallery_server.evaluation.preparing import bench_under
    from ersgallery_server.models.profile_file import read_profile

    plan = EvaluationPlan(seed=request.seed, resamples=request.resamples)
    if request.profile:
        return bench_under(corpus, wild, plan, read_profile(request.profile).profile())
    with request.bar("making the profile") as bar:
        return make_bench(corpus, wild, plan, bar)


def _write(request: _Request, evaluation: "Evaluation") -> None:
    from rich.console import Console

    from ersgallery_server.evaluation.outputs import as_json, as_markdown, summary
    from ersgallery_server.evaluation.pages import evaluation_page, print_evaluation
    from ersgallery_server.models.storage import write_file

    print_evaluation(evaluation, Console())
    if request.out is None:
        return
    # All are made before the first is written.
    made = {"summary.json": as_json(summary(evaluation)), "tables.md": as_markdown(evaluation)}
    try:
        made["index.html"] = evaluation_page(evaluation)
    except ModuleNotFoundError as error:
        click.echo(f"note: the page needs {error.name}: pip install 'ersgallery[calibration]'", err=True)
    for name, text in made.items():
        write_file(request.out / name, text.encode())
        click.echo(f"wrote {request.out / name}", err=True)


@contextlib.contextmanager
def _other_errors() -> Iterator[None]:
    from ersgallery_server.evaluation.failures import ServerUnusable

    try:
        yield
    except ServerUnusable as error:
        raise click.ClickException(str(error)) from error
