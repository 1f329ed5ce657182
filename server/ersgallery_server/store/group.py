"""One group of works as one database transaction, each in a savepoint of its own where there are several."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Transaction, text
from sqlalchemy.exc import DataError, SQLAlchemyError

from ersgallery_server.store.engines import is_unavailable
from ersgallery_server.store.transaction import WriteTransaction


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


class CommitUncertain(Exception):
    """The connection was lost during COMMIT; `transaction_id` tells later whether it was done."""

    def __init__(self, outcomes: Sequence[Outcome], transaction_id: str) -> None:
        super().__init__("the connection was lost during COMMIT")
        self.outcomes = outcomes
        self.transaction_id = transaction_id


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
        transaction_id = _transaction_id(connection)
        try:
            transaction.commit()
        except Exception as error:
            if transaction_id is None:
                raise
            raise CommitUncertain(outcomes, transaction_id) from error
    return outcomes


def was_committed(engine: Engine, transaction_id: str) -> bool:
    """Tell whether PostgreSQL committed a transaction; raises what the database raises while it cannot tell."""
    statement = text("SELECT pg_xact_status(CAST(CAST(:id AS text) AS xid8))")
    try:
        with engine.connect() as connection:
            status = connection.execute(statement, {"id": transaction_id}).scalar_one()
    except DataError:
        # The database crashed and recovered to a time before this transaction.
        return False
    if status == "in progress":
        raise TransactionInProgress
    return bool(status == "committed")


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


def _transaction_id(connection: Connection) -> str | None:
    """Return PostgreSQL's id of the transaction; SQLite's COMMIT cannot be lost on its way."""
    if connection.dialect.name != "postgresql":
        return None
    return str(connection.execute(text("SELECT CAST(pg_current_xact_id() AS text)")).scalar_one())
