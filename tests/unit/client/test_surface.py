import dataclasses
import inspect
import subprocess
import sys
from typing import Any

import ersgallery_client
import pytest
from ersgallery_client import AsyncGalleryClient, GalleryClient, rpcs
from ersgallery_client.blocking import BlockingTransport
from ersgallery_client.rpcs import Rpc

from tests.support.clients import MakeClient


def own_calls(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")} - set(dir(BlockingTransport))


def test_there_is_a_call_for_every_rpc() -> None:
    own_names = {"enroll_faces": "enroll", "stream_enroll_faces": "enroll_stream", "batch_identify": "identify_batch"}
    own_names["stream_identify"] = "identify_stream"
    methods = [rpc.method for rpc in vars(rpcs).values() if isinstance(rpc, Rpc)]
    snake = ["".join(f"_{c.lower()}" if c.isupper() else c for c in method).lstrip("_") for method in methods]
    assert own_calls(GalleryClient) == {own_names.get(name, name) for name in snake}


def test_both_clients_have_the_same_calls() -> None:
    assert own_calls(GalleryClient) == own_calls(AsyncGalleryClient)


@pytest.mark.parametrize("name", sorted(own_calls(GalleryClient)))
def test_every_call_has_a_docstring_and_the_same_arguments_on_both_clients(name: str) -> None:
    blocking, awaiting = (getattr(kind, name) for kind in (GalleryClient, AsyncGalleryClient))
    assert inspect.getdoc(blocking)
    assert list(inspect.signature(blocking).parameters) == list(inspect.signature(awaiting).parameters)


def test_a_method_of_a_client_tells_its_name_signature_and_docstring(make_client: MakeClient) -> None:
    method = GalleryClient("127.0.0.1:1").get_gallery
    assert method.__name__ == "get_gallery"
    assert list(inspect.signature(method).parameters) == ["gallery"]
    assert "GalleryNotFound" in (method.__doc__ or "")


def test_results_are_frozen_slotted_dataclasses_or_enums() -> None:
    for name in ersgallery_client.__all__:
        value: Any = getattr(ersgallery_client, name)
        if dataclasses.is_dataclass(value):
            assert value.__dataclass_params__.frozen, name  # type: ignore[union-attr]  # typeshed does not know it
            assert "__slots__" in vars(value), name


def test_no_protobuf_type_is_part_of_the_values() -> None:
    for name in ersgallery_client.__all__:
        value: Any = getattr(ersgallery_client, name)
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                assert "pb2" not in str(field.type), f"{name}.{field.name}"


def test_importing_the_client_imports_neither_the_command_line_nor_the_server() -> None:
    code = "import sys, ersgallery_client; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "grpc" in loaded
    assert not {"click", "rich", "faiss", "sqlalchemy", "onnxruntime", "ersgallery_server"} & set(loaded)
