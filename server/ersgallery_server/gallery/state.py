"""What answers for a gallery at one moment, and how each kind of change makes the next."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ersgallery_index import Derivation, IndexRows, Policy, Profile, VectorIndex, open_index
from numpy.typing import NDArray

from ersgallery_server.gallery.contents import face_rows
from ersgallery_server.store import PooledSubjects, TemplateRecipe
from ersgallery_server.values import GalleryRecord, GallerySettings, StoredFaces, SubjectSearch

NO_IDS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class GalleryState:
    """A gallery's settings with the index built for them. `subject_ids` maps the index's keys to the callers' ids.

    `index` and `subject_ids` change in place and belong to the owner's thread; the rest is immutable. `behind_since` is
    the first committed revision that the index could not take; None: it holds all that is stored.
    """

    record: GalleryRecord
    derivation: Derivation
    index: VectorIndex
    subject_ids: dict[int, str]
    behind_since: int | None = None

    @property
    def policy(self) -> Policy:
        """Return the gates and thresholds of the gallery."""
        return self.record.settings.policy(self.record.profile.profile)

    @property
    def by_template(self) -> bool:
        """Tell whether subjects are found by their templates."""
        return self.record.settings.subject_search is SubjectSearch.TEMPLATE


@dataclass(frozen=True, slots=True)
class IndexPlace:
    """Where indexes are: a device, and the folder for the host's rows that are kept in files (None: in memory)."""

    device: str
    rows_folder: Path | None = None


def new_index(settings: GallerySettings, profile: Profile, place: IndexPlace) -> VectorIndex:
    """Return an empty index for a gallery; raises InvalidPolicy for impossible settings, and DeviceFull."""
    gate = settings.policy(profile).gamma_gallery
    index = open_index(profile.dimension, device=place.device, rows_folder=place.rows_folder)
    index.set_gate(gate)
    index.set_kind(settings.index_kind)
    return index


def state_of(record: GalleryRecord, index: VectorIndex, subject_ids: dict[int, str]) -> GalleryState:
    """Return the state of a gallery as the store has it, with the index that was made for it."""
    derivation = Derivation(record.profile.profile, enhance=record.settings.enhance_features)
    return GalleryState(record, derivation, index, subject_ids)


def add_faces(state: GalleryState, faces: StoredFaces, revision: int) -> GalleryState:
    """Make stored faces searchable, each by itself."""
    return add_rows(state, face_rows(state.derivation, faces), revision)


def add_rows(state: GalleryState, rows: IndexRows, revision: int) -> GalleryState:
    """Make faces searchable that were derived as this state derives them."""
    state.index.apply(revision, NO_IDS, rows.face_ids, rows.subject_ids, rows.ers, rows.vectors)
    return at_revision(state, revision)


def remove_faces(state: GalleryState, face_ids: NDArray[np.int64], revision: int) -> GalleryState:
    """Make faces unfindable."""
    dimension = state.index.dimension
    state.index.apply(revision, face_ids, NO_IDS, NO_IDS, np.empty(0), np.empty((0, dimension), np.float32))
    return at_revision(state, revision)


def change_templates(state: GalleryState, pooled: PooledSubjects | None, revision: int) -> GalleryState:
    """Make subjects searchable by the templates that they have now.

    Raises LookupError where the store gave none, or templates of another recipe: the gallery has other settings there,
    and this state, which could not be rebuilt, cannot follow.
    """
    if revision <= state.index.revision:  # a rebuild has read them already
        return state
    if pooled is None or pooled.recipe != TemplateRecipe.of(state.record.profile.key, state.record.settings):
        raise LookupError("the store no longer searches this gallery by such templates")
    rows = pooled.rows
    gone = np.setdiff1d(pooled.subject_keys, rows.subject_ids)
    state.index.apply(revision, gone, rows.face_ids, rows.subject_ids, rows.ers, rows.vectors)
    return at_revision(state, revision)


def remove_subject(state: GalleryState, subject_key: int, face_ids: NDArray[np.int64], revision: int) -> GalleryState:
    """Make a subject unfindable and forget its id."""
    state.subject_ids.pop(subject_key, None)
    return remove_faces(state, np.append(face_ids, subject_key), revision)


def change_settings(state: GalleryState, record: GalleryRecord) -> GalleryState:
    """Take new settings of the same profile and enhancement; they hold for the next search."""
    if record.revision <= state.record.revision:  # a rebuild has read them already, or later ones
        return state
    changed = replace(state, record=record)
    state.index.set_gate(changed.policy.gamma_gallery)
    state.index.set_kind(record.settings.index_kind)
    return remove_faces(changed, NO_IDS, record.revision)


def at_revision(state: GalleryState, revision: int) -> GalleryState:
    """Return the state with the revision its answers will name."""
    return replace(state, record=replace(state.record, revision=max(revision, state.record.revision)))
