"""Regenerate the stubs of proto/ersgallery/v1 beside the .proto files, or into another folder to be compared.

python proto/generate.py            rewrite the committed stubs
python proto/generate.py --check    regenerate elsewhere and fail where a committed stub differs
python proto/generate.py --image F  also write the descriptor set that the linter reads
"""

import argparse
import filecmp
import sys
import tempfile
from importlib import resources
from pathlib import Path

from google.rpc import status_pb2
from grpc_tools import protoc

ROOT = Path(__file__).parent
PACKAGE = Path("ersgallery/v1")


def main() -> int:
    """Run the command line; the exit status is 1 when a check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--image", type=Path, help="write a descriptor set with comments to this file")
    options = parser.parse_args()
    if options.image:
        options.image.parent.mkdir(parents=True, exist_ok=True)
        compile_protos("--include_imports", "--include_source_info", f"--descriptor_set_out={options.image}")
    if not options.check:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        return report(differences(Path(folder)))


def generate(output: Path) -> None:
    """Write messages and services, each with its type stub, below `output`."""
    tools = Path(sys.executable).parent
    compile_protos(
        f"--plugin=protoc-gen-mypy={tools / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={tools / 'protoc-gen-mypy_grpc'}",
        f"--python_out={output}",
        f"--grpc_python_out={output}",
        f"--mypy_out=quiet:{output}",
        f"--mypy_grpc_out=quiet:{output}",
    )
    for stub in (output / PACKAGE).glob("*_pb2_grpc.py*"):  # a .proto without a service gives an empty service stub
        if "ServiceStub" not in stub.read_text():
            stub.unlink()


def compile_protos(*outputs: str) -> None:
    """Run protoc over every .proto of the package; raises SystemExit where it refuses one."""
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / PACKAGE).glob("*.proto"))
    includes = [
        f"-I{ROOT}",
        f"-I{resources.files('grpc_tools') / '_proto'}",
        f"-I{Path(status_pb2.__file__).parents[2]}",
    ]
    if protoc.main(["protoc", *includes, *outputs, *sources]) != 0:
        raise SystemExit(1)


def differences(fresh: Path) -> list[str]:
    """Return the stubs that are missing, left over or different from the fresh ones."""
    names = {path.name for folder in (fresh, ROOT) for path in (folder / PACKAGE).glob("*_pb2*.py*")}
    _, different, missing = filecmp.cmpfiles(fresh / PACKAGE, ROOT / PACKAGE, names, shallow=False)
    return sorted(different + missing)


def report(stale: list[str]) -> int:
    """Say which stubs are stale and return the exit status."""
    for name in stale:
        print(f"stale stub: proto/{PACKAGE / name}; run `make stubs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
