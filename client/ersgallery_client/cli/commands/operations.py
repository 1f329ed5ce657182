"""The commands `operations ...`."""

import click

from ersgallery_client.cli.params import json_option
from ersgallery_client.cli.session import Session, pass_session
from ersgallery_client.cli.tables import table
from ersgallery_client.values.calibration import Operation


@click.group("operations")
def group() -> None:
    """Show and cancel what goes on in the server, such as calibrations."""


@group.command("list")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List the operations that the server keeps, oldest first."""
    with session.client() as client:
        operations = client.list_operations()
    columns = ["operation", "kind", "gallery", "state", "done", "begun", "ended"]
    rows = [
        (
            each.id,
            each.kind.value.lower(),
            each.gallery_id or None,
            each.state.value.lower(),
            _share(each),
            each.start_time,
            each.end_time,
        )
        for each in operations
    ]
    session.show({"operations": operations}, lambda: table(columns, rows))


@group.command()
@click.argument("operation")
@json_option
@pass_session
def cancel(session: Session, operation: str) -> None:
    """Cancel an operation; it ends between two blocks of its work."""
    with session.client() as client:
        asked = client.cancel_operation(operation)
    words = "had ended already" if asked.ended and asked.state != "CANCELLED" else "is cancelled"
    session.show(asked, lambda: f"{asked.id} {words}")


def _share(operation: Operation) -> str | None:
    return f"{operation.done_units / operation.total_units:.0%}" if operation.total_units else None
