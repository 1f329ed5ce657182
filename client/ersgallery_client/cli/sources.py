"""What `enroll` can read: a folder per person, a flat folder, a CSV or an .npz of embeddings."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from ersgallery_client.values.inputs import Embedding, Enrollment

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp"))


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One thing to enrol and what people call it: its file, or its row."""

    label: str
    enrollment: Enrollment


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Everything to enrol, and the files that were left out because they are no photographs."""

    items: Sequence[Item]
    ignored: Sequence[Path] = ()


def read_source(path: Path, model: str = "") -> Source:
    """Return what a SOURCE holds; raises click.ClickException where it cannot be used."""
    if path.is_dir():
        source = read_folder(path)
    elif path.suffix.lower() == ".csv":
        source = Source(list(read_csv(path)))
    elif path.suffix.lower() == ".npz":
        source = Source(list(_read_npz(path, model)))
    else:
        raise click.ClickException(f"{path} is neither a folder nor a .csv nor an .npz file")
    if not source.items:
        raise click.ClickException(f"{path} holds nothing to enrol")
    return source


def read_folder(folder: Path) -> Source:
    """Return a folder's photographs: sub-folders are subjects, or without any the file names are."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    people = [entry for entry in entries if entry.is_dir()]
    loose = [entry for entry in entries if not entry.is_dir()]
    if not people:
        named = [(file.stem, file) for file in loose]
        loose = []
    else:
        named = [(person.name, file) for person in people for file in _files(person)]
    items = [Item(str(file), Enrollment(subject, file)) for subject, file in named if is_image(file)]
    return Source(items, [*loose, *(file for _, file in named if not is_image(file))])


def read_csv(path: Path) -> Iterator[Item]:
    """Give the rows of a CSV with the columns subject, file and perhaps media_id and display_name."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            yield from _items_of(path, csv.DictReader(lines))
    except (csv.Error, UnicodeError) as error:
        raise click.ClickException(f"{path} is no CSV in UTF-8: {error}") from error


def read_embeddings(path: Path) -> NDArray[np.float32]:
    """Return the embeddings (n, d) of an .npy, or of the array `embedding` of an .npz."""
    array = load_arrays(path, ("embedding",))["embedding"]
    matrix = np.atleast_2d(array)
    if matrix.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise click.ClickException(
            f"{path}: embeddings must be floats of shape (n, d), not {array.dtype} {array.shape}"
        )
    return matrix.astype(np.float32)


def is_image(path: Path) -> bool:
    """Say whether a file is a photograph by its name."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def _items_of(path: Path, rows: "csv.DictReader[str]") -> Iterator[Item]:
    missing = {"subject", "file"} - set(rows.fieldnames or ())
    if missing:
        raise click.ClickException(f"{path} has no column {' and no column '.join(sorted(missing))}")
    for row in rows:
        if not row["subject"] or not row["file"]:
            raise click.ClickException(f"{path}, line {rows.line_num}: subject and file must not be empty")
        file = path.parent / row["file"]
        yield Item(
            str(file),
            Enrollment(
                row["subject"],
                file,
                media_id=row.get("media_id") or "",
                subject_display_name=row.get("display_name") or "",
            ),
        )


def _files(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))


def _read_npz(path: Path, model: str) -> Iterator[Item]:
    embeddings = read_embeddings(path)
    subjects = load_arrays(path, ("embedding", "subject"))["subject"]
    if subjects.shape != (len(embeddings),):
        raise click.ClickException(f"{path}: {len(embeddings)} embeddings and subjects of shape {subjects.shape}")
    for row, (subject, embedding) in enumerate(zip(subjects.tolist(), embeddings, strict=True)):
        yield Item(f"{path}[{row}]", Enrollment(str(subject), Embedding(embedding, model)))


def load_arrays(path: Path, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, NDArray[np.generic]]:
    """Load arrays without ever unpickling; an .npy is one `embedding`. Raises click.ClickException."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"embedding": loaded}
        with loaded:
            found = {name: loaded[name] for name in (*names, *optional) if name in loaded.files}
    except Exception as error:
        raise click.ClickException(f"{path} cannot be read: it is damaged or holds Python objects") from error
    arrays = {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
    missing = sorted(set(names) - set(arrays))
    if missing:
        raise click.ClickException(f"{path} has no array {' and no array '.join(missing)}")
    return arrays
