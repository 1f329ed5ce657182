"""Keep the products of matrices to one thread, so that a calibration takes no more than one core from the searches."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS use one thread, in the whole process, until the block is left.

    NumPy's takes all cores otherwise, and has one setting for all threads; searches use one each anyway.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
