import pytest
from ersgallery.v1 import (
    calibration_service_pb2,
    enrollment_service_pb2,
    gallery_service_pb2,
    hygiene_service_pb2,
    identification_service_pb2,
    recognizability_service_pb2,
)
from ersgallery_client import rpcs
from ersgallery_client.rpcs import Rpc
from ersgallery_client.wire import enums
from ersgallery_client.wire.enums import EnumPair

MODULES = [
    calibration_service_pb2,
    enrollment_service_pb2,
    gallery_service_pb2,
    hygiene_service_pb2,
    identification_service_pb2,
    recognizability_service_pb2,
]
TABLE = {rpc.path: rpc for rpc in vars(rpcs).values() if isinstance(rpc, Rpc)}
READS = (
    "Get",
    "List",
    "Identify",
    "BatchIdentify",
    "StreamIdentify",
    "Verify",
    "Score",
    "Preview",
    "Wait",
    "FindLowErs",
)
PAIRS = {name: pair for name, pair in vars(enums).items() if isinstance(pair, EnumPair)}


def test_the_table_has_every_rpc_of_the_contract_with_its_messages() -> None:
    contract = {
        f"/{service.full_name}/{method.name}": (method.input_type.full_name, method.output_type.full_name)
        for module in MODULES
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    table = {path: (rpc.request.DESCRIPTOR.full_name, rpc.response.DESCRIPTOR.full_name) for path, rpc in TABLE.items()}
    assert table == contract


def test_only_reads_and_writes_with_a_request_id_may_be_repeated() -> None:
    for rpc in TABLE.values():
        reads = rpc.method.startswith(READS)
        protected = rpc.method in {"EnrollFaces", "StreamEnrollFaces"}
        assert rpc.writes is not reads, rpc.method
        assert rpc.repeatable is (reads or protected), rpc.method


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_an_enum_has_the_members_of_the_contracts(name: str) -> None:
    pair = PAIRS[name]
    for number in pair.wire.values():
        assert pair.wire.Name(number).endswith(pair.read(number).value)
        assert pair.write(pair.read(number)) == number
    assert {pair.read(number) for number in pair.wire.values()} == set(pair.own.__members__)


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_a_member_of_a_newer_server_reads_as_unspecified(name: str) -> None:
    assert PAIRS[name].read(99) == "UNSPECIFIED"
