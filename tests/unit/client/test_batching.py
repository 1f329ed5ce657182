import pytest
from ersgallery.v1.enrollment_service_pb2 import Enrollment, StreamEnrollFacesRequest
from ersgallery.v1.face_input_pb2 import Embedding, Image, TemplateMember
from ersgallery_client import Enrollment as Item
from ersgallery_client import Limits, Template, errors
from ersgallery_client.batching import HEAD_BYTES, rows_per_message, split
from ersgallery_client.calls.enrollment import EnrollmentEncoder

SMALL = Limits(max_message_bytes=3 * HEAD_BYTES, batch_bytes=2 * HEAD_BYTES, max_faces=10)


def image(size: int) -> TemplateMember:
    return TemplateMember(image=Image(content=bytes(size)))


def test_batches_keep_order_and_lose_nothing() -> None:
    messages = [Embedding(values=[float(i)]) for i in range(23)]
    batches = list(split(messages, Limits(), 5))
    assert [message for batch in batches for message in batch] == messages
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3]


@pytest.mark.parametrize("sizes", [[3000] * 7, [10, 4000, 10, 4000], [7000, 1, 7000], [1] * 100])
def test_batches_stay_under_the_bytes_aimed_at_unless_one_message_alone_exceeds_them(sizes: list[int]) -> None:
    batches = list(split(map(image, sizes), SMALL, 1000))
    assert sum(len(batch) for batch in batches) == len(sizes)
    for batch in batches:
        total = sum(message.ByteSize() for message in batch)
        assert total + HEAD_BYTES <= SMALL.batch_bytes or len(batch) == 1
        assert total + HEAD_BYTES <= SMALL.max_message_bytes


def test_a_message_that_fits_nowhere_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(errors.MessageTooLarge, match=str(SMALL.max_message_bytes)):
        list(split([image(3 * HEAD_BYTES)], SMALL, 10))


def test_nothing_to_send_is_one_empty_batch() -> None:
    assert list(split([], Limits(), 5)) == [[]]


def test_a_batch_of_templates_stays_under_the_number_of_faces() -> None:
    encoder = EnrollmentEncoder("g", SMALL, None, None)
    sizes = [4, 4, 4, 1, 1, 9, 10, 1]
    sent = [encoder.add(Item("ada", Template([b"x"] * size))) for size in sizes]
    faces = []
    for payload in [*sent, encoder.rest()]:
        if payload is not None:
            batch = StreamEnrollFacesRequest.FromString(payload).batch
            faces.append([len(item.template.members) for item in batch.enrollments])
    assert faces == [[4, 4], [4, 1, 1], [9], [10], [1]]


def test_the_encoder_gives_the_same_messages_for_the_same_prefix_and_items() -> None:
    def messages() -> list[bytes | None]:
        encoder = EnrollmentEncoder("g", Limits(), 2, "import")
        return [*(encoder.add(Item(f"s{i}", [float(i), 1.0])) for i in range(5)), encoder.rest()]

    assert messages() == messages()


@pytest.mark.parametrize(("row_bytes", "answer_bytes"), [(2048, 640), (64, 1024 * 64), (0, 1024 * 512), (2**30, 1)])
def test_rows_fit_into_one_message_each_way(row_bytes: int, answer_bytes: int) -> None:
    limits = Limits()
    rows = rows_per_message(limits, row_bytes, answer_bytes)
    assert 1 <= rows <= limits.max_matrix_rows
    assert rows == 1 or rows * max(row_bytes, answer_bytes) <= limits.max_message_bytes


def test_an_enrolment_counts_one_face_without_a_template() -> None:
    encoder = EnrollmentEncoder("g", Limits(), 3, None)
    assert [encoder.add(Item("ada", b"x")) is None for _ in range(4)] == [True, True, True, False]
    assert Enrollment(subject_id="ada").WhichOneof("source") is None
