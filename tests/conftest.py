"""Shared by all tests. `tests.engine.toy` is the engine's toy world, `tests.systems.nets` builds small networks."""

import numba
import pytest


def pytest_report_header() -> str:
    """Said aloud, because tests of two threads are skipped on one core, and tests of a GPU where there is none."""
    from engine.cuda import describe

    return f"kernels: up to {numba.config.NUMBA_NUM_THREADS} threads; GPU: {describe()}"


@pytest.fixture(autouse=True)
def threads_as_they_were():
    """A parallel kernel sets the number of threads for the whole process; the next test starts from all of them."""
    yield
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
