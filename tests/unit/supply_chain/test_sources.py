"""Nothing that is read can run code: no pickle in any of its forms, and no parser that builds objects at will."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = ("index", "server", "client", "proto")
FORBIDDEN = frozenset(
    {
        "pickle",
        "_pickle",
        "cPickle",
        "marshal",
        "shelve",
        "dill",
        "cloudpickle",
        "joblib",
        "jsonpickle",
        "multiprocessing",
    }
)
"""multiprocessing pickles what it sends."""
RUNS_CODE = frozenset({"eval", "exec", "compile", "__import__"})
LOADERS = frozenset({"load", "load_all", "full_load", "unsafe_load"})


def problems(source: str) -> Iterator[str]:
    """Yield what in a module could run code that it reads."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (f"imports {each.name}" for each in names if each.name.partition(".")[0] in FORBIDDEN)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in FORBIDDEN:
                yield f"imports {module}"
            case ast.Call(func=ast.Name(id=name)) if name in RUNS_CODE:
                yield f"calls {name}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name), keywords=keywords):
                yield from _of_call(owner, name, {each.arg: each.value for each in keywords})


def _of_call(owner: str, name: str, keywords: dict[str | None, ast.expr]) -> Iterator[str]:
    allowed = keywords.get("allow_pickle")
    refused = isinstance(allowed, ast.Constant) and allowed.value is False
    if allowed is not None and not refused:
        yield "allows pickles"
    if owner in {"np", "numpy"} and name == "load" and not refused:
        yield "np.load without allow_pickle=False"
    if owner == "yaml" and name in LOADERS:
        yield f"yaml.{name}"
    if owner == "torch" and name == "load":
        yield "torch.load"


@pytest.mark.parametrize("folder", SOURCES)
def test_no_module_unpickles_or_runs_what_it_reads(folder: str) -> None:
    modules = [path for path in (ROOT / folder).rglob("*.py") if not path.stem.endswith(("_pb2", "_pb2_grpc"))]
    assert len(modules) >= 1
    found = {str(path): list(problems(path.read_text(encoding="utf-8"))) for path in modules}
    assert {path: each for path, each in found.items() if each} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import multiprocessing.shared_memory as memory",
        "from marshal import loads",
        "eval(text)",
        "np.load(path)",
        "numpy.load(path, allow_pickle=True)",
        "np.savez(path, allow_pickle=wanted, a=a)",
        "yaml.load(text)",
        "torch.load(path)",
    ],
)
def test_each_of_these_would_be_found(source: str) -> None:
    assert list(problems(source))
