from collections.abc import Iterator

import pytest

from support.cluster import DaskProcesses


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A scheduler with two workers; a test may kill one of them."""
    with DaskProcesses(tmp_path_factory.mktemp("dask")) as processes:
        processes.start_workers(2)
        yield processes
