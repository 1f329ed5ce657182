"""What the layer that writes calls down does with streams that end."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ersgallery.v1 import enrollment_service_pb2 as pb
from ersgallery_server.audit import Audit, LineFile
from ersgallery_server.call import Call
from ersgallery_server.values import Identifications

METHOD = pb.DESCRIPTOR.services_by_name["EnrollmentService"].methods_by_name["StreamEnrollFaces"]


def test_nothing_of_a_stream_that_has_ended_is_handed_on_without_a_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit = Audit(LineFile(path), Identifications.EACH)
    reading: list[Iterator[Any]] = []

    def behavior(requests: Iterable[Any], _call: Call) -> Iterator[Any]:
        reading.append(iter(requests))
        next(reading[0])
        yield pb.StreamEnrollFacesResponse(sequence=0, response=pb.EnrollFacesResponse(revision=1))

    sent = [
        pb.StreamEnrollFacesRequest(sequence=i, batch=pb.EnrollFacesRequest(parent=f"galleries/g{i}")) for i in range(3)
    ]
    answers = audit.around(METHOD, behavior)(iter(sent), Call())
    next(answers)
    handed_on = ["galleries/g0", next(reading[0]).batch.parent]
    answers.close()
    handed_on += [request.batch.parent for request in reading[0]]
    audit.close()
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["resource"] for entry in entries if "method" in entry] == handed_on
