"""Shared by all tests. `tests.engine.toy` is the engine's toy world, `tests.systems.nets` builds small networks."""

import os


def pytest_report_header() -> str:
    """Said aloud, because tests of two threads are skipped on one core, and tests of a GPU where there is none."""
    from engine.cuda import describe

    return f"kernels: {os.cpu_count()} cores; GPU: {describe()}"
