import json
from pathlib import Path

from seg.inference.cluster.connection import WorkerState
from seg.inference.cluster.report import Watch


class Clock:
    """A clock whose time a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_bar_shows_the_speed_and_the_numbers_of_present_and_lost_workers() -> None:
    clock = Clock()
    watch = Watch(clock)
    both = {"tcp://a:1": WorkerState("a", 1), "tcp://b:1": WorkerState("b", 1)}
    watch.see(both)
    assert watch.text() == "2 workers"
    clock.now = 10.0
    watch.add("tcp://a:1", "a", 8.0, 20)
    watch.see({"tcp://a:1": both["tcp://a:1"]})
    assert watch.text() == "2 blocks/s, 1 worker, 1 lost"


def test_the_table_omits_lost_workers_without_results_and_the_report_lists_all_workers(tmp_path: Path) -> None:
    watch = Watch(Clock())
    workers = {f"tcp://h:{port}": WorkerState("h", 1) for port in range(3)}
    watch.see(workers)
    watch.add("tcp://h:0", "h", 8.0, 3)
    watch.add("tcp://h:1", "h", 1.0, 0, 1)
    watch.see({"tcp://h:0": workers["tcp://h:0"], "tcp://h:1": workers["tcp://h:1"]}, unfit=["tcp://h:1"])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in watch.table().splitlines()[2:]]
    assert rows == [["h tcp://h:0", "3", "8.0", "0", "there"], ["h tcp://h:1", "0", "1.0", "1", "left out"]]
    path = tmp_path / "report.json"
    watch.write(path, "local:3", 2)
    report = json.loads(path.read_text())
    assert (report["cluster"], report["threads"], report["blocks"], report["lost_workers"]) == ("local:3", 2, 3, 1)
    assert [row["state"] for row in report["workers"]] == ["there", "left out", "lost"]
