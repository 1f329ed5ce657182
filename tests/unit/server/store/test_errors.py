"""The errors of the store are one tree, and all of it is public."""

import inspect

from ersgallery_server import store
from ersgallery_server.store import errors


def defined() -> dict[str, type[object]]:
    return {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind)}


def test_every_error_is_a_store_error_and_exported() -> None:
    for name, kind in defined().items():
        assert issubclass(kind, errors.StoreError)
        assert getattr(store, name) is kind


def test_the_tree_in_the_docstring_names_every_error() -> None:
    text = errors.__doc__
    assert text
    assert all(name in text for name in defined())
