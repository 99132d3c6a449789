import pytest

from support.cluster import DaskProcesses

CLUSTER = pytest.StashKey[DaskProcesses]()


@pytest.fixture
def cluster(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> DaskProcesses:
    """A scheduler with two workers, which tests share; a test may kill one of the workers."""
    if CLUSTER not in pytestconfig.stash:
        processes = DaskProcesses(tmp_path_factory.mktemp("dask"))
        processes.start_workers(2)
        processes.wait_for_workers(2)  # A command without a worker prints a note.
        pytestconfig.stash[CLUSTER] = processes
        pytestconfig.add_cleanup(processes.close)  # if the tests are interrupted
    return pytestconfig.stash[CLUSTER]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the cluster after the last test that uses it, since its processes compute even if they are idle."""
    if CLUSTER in item.config.stash and "cluster" not in getattr(nextitem, "fixturenames", ()):
        item.config.stash[CLUSTER].close()
        del item.config.stash[CLUSTER]
