"""Labelled attributes of people or photographs, from a CSV."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.evaluation.corpus import Corpus
from ersgallery_server.models.errors import CalibrationFailed

_KEYS = ("identity", "photograph")


@dataclass(frozen=True, slots=True)
class Groups:
    """What a CSV says. by: `identity` or `photograph`; attributes: for each, the value of each of them."""

    by: str
    attributes: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, path: Path) -> "Groups":
        """Read a CSV whose first column is identity or photograph and whose others are attributes.

        Raises CalibrationFailed for a file that cannot be read, another header, a row of another length, or somebody
        who is there twice.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                rows = [row for row in csv.reader(stream) if row]
        except (OSError, UnicodeError, csv.Error) as error:
            raise CalibrationFailed(f"the groups in {path} cannot be read: {error}") from error
        if not rows or rows[0][0] not in _KEYS or len(rows[0]) < 2:
            raise CalibrationFailed(f"{path} must begin with a line such as identity,age,sex (or photograph,...)")
        header = rows[0]
        for line, row in enumerate(rows[1:], 2):
            if len(row) != len(header):
                raise CalibrationFailed(f"{path}, row {line}: {len(row)} values under {len(header)} columns")
        keys = [row[0] for row in rows[1:]]
        if len(set(keys)) != len(keys):
            raise CalibrationFailed(f"{path} has somebody twice: {next(key for key in keys if keys.count(key) > 1)}")
        return cls(
            header[0],
            {
                name: {row[0]: row[column] for row in rows[1:] if row[column]}
                for column, name in enumerate(header)
                if column
            },
        )

    def of_faces(self, corpus: Corpus, attribute: str) -> NDArray[np.str_]:
        """Return the value of each face of a corpus (n,), "" where it has none."""
        values = self.attributes[attribute]
        if self.by == "photograph":
            return np.array([values.get(name, "") for name in corpus.names])
        people = [corpus.people[who] if who >= 0 else "" for who in corpus.identities.tolist()]
        return np.array([values.get(person, "") for person in people])
