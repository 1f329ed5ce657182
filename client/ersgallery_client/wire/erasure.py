"""Receipts of deletions, read from messages."""

from ersgallery.v1 import gallery_pb2 as pb

from ersgallery_client.values.erasure import Erasure
from ersgallery_client.wire.enums import ERASED_DATABASE
from ersgallery_client.wire.times import read_time


def read_erasure(message: pb.Erasure, revision: int = 0) -> Erasure:
    """Return a receipt."""
    kept = message.HasField("names_kept_until_time")
    return Erasure(
        revision=revision,
        deleted_subjects=message.deleted_subjects,
        deleted_faces=message.deleted_faces,
        deleted_images=message.deleted_images,
        recomputed_templates=message.recomputed_templates,
        database=ERASED_DATABASE.read(message.database),
        names_kept_until=read_time(message.names_kept_until_time) if kept else None,
    )
