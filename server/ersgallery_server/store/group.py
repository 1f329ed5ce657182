"""One group of works as one database transaction, each in a savepoint of its own where there are several."""

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Text, Transaction, bindparam, cast, func, select, text, update
from sqlalchemy.exc import DataError, SQLAlchemyError

from ersgallery_server.store.engines import is_unavailable
from ersgallery_server.store.tables import LAST_COMMIT
from ersgallery_server.store.transaction import WriteTransaction

_STATUS = text("SELECT pg_xact_status(CAST(CAST(:id AS text) AS xid8))")
_READ_MARK = select(LAST_COMMIT.c.mark)
_LEAVE_MARK = update(LAST_COMMIT).values(mark=bindparam("new_mark")).returning(cast(func.pg_current_xact_id(), Text))


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """A piece of work with what follows its commit, and the future of its submitter."""

    work: Callable[[WriteTransaction], Any]
    then: Callable[[Any], None] | None
    future: Future[Any] = field(default_factory=Future)
    queued_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a work came to: a value, or the error that rolled it back."""

    value: Any = None
    error: BaseException | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Marked:
    """By what a transaction of PostgreSQL is known again: its id, and a mark that it left and no other will."""

    transaction_id: str
    mark: str


class CommitUncertain(Exception):
    """The connection was lost during COMMIT; `marked` tells later whether it was done."""

    def __init__(self, outcomes: Sequence[Outcome], marked: Marked) -> None:
        super().__init__("the connection was lost during COMMIT")
        self.outcomes = outcomes
        self.marked = marked


def commit_group(
    engine: Engine, submissions: Sequence[Submission], check: Callable[[Connection], None]
) -> Sequence[Outcome]:
    """Run works in one transaction and return their outcomes once it is durable.

    check: raises where nothing may be written in this transaction. Raises what it or the database raised where all
    failed, so that nothing was stored, and CommitUncertain where it cannot be known.
    """
    with engine.connect() as connection:
        transaction = connection.begin()
        check(connection)
        if len(submissions) == 1:
            outcomes = [_attempt(connection, submissions[0], transaction)]
            if outcomes[0].error is not None:
                return outcomes
        else:
            outcomes = [_attempt_within(connection, submission) for submission in submissions]
        marked = _leave_mark(connection)
        try:
            transaction.commit()
        except Exception as error:
            if marked is None:
                raise
            raise CommitUncertain(outcomes, marked) from error
    return outcomes


def was_committed(engine: Engine, marked: Marked) -> bool:
    """Tell whether PostgreSQL committed a transaction, if nothing was written since.

    A database that crashed gives the id of a transaction that it lost to a later one: the mark decides, and the id says
    how long to wait for it. Raises what the database raises while it cannot tell.
    """
    with engine.connect() as connection:
        try:
            status = connection.execute(_STATUS, {"id": marked.transaction_id}).scalar_one()
        except DataError:
            # The database crashed and recovered to a time before this transaction.
            return False
        if status == "in progress":
            raise TransactionInProgress
        return bool(connection.execute(_READ_MARK).scalar_one() == marked.mark)


class TransactionInProgress(Exception):
    """The server has not noticed yet that its client is gone."""


def _attempt_within(connection: Connection, submission: Submission) -> Outcome:
    savepoint = connection.begin_nested()
    outcome = _attempt(connection, submission, savepoint)
    if outcome.error is None:
        savepoint.commit()
    return outcome


def _attempt(connection: Connection, submission: Submission, undo: Transaction) -> Outcome:
    """Run a work, and take it back where it raises."""
    writes = WriteTransaction(connection)
    try:
        value = submission.work(writes)
    except BaseException as error:
        # Whatever a work raises belongs to its submitter, unless the database itself failed.
        if isinstance(error, SQLAlchemyError) and is_unavailable(error):
            raise
        undo.rollback()
        return Outcome(error=error)
    return Outcome(value, erased=writes.erased)


def _leave_mark(connection: Connection) -> Marked | None:
    """Mark a transaction of PostgreSQL; SQLite's COMMIT cannot be lost on its way."""
    if connection.dialect.name != "postgresql":
        return None
    mark = uuid.uuid4().hex
    return Marked(str(connection.execute(_LEAVE_MARK, {"new_mark": mark}).scalar_one()), mark)
