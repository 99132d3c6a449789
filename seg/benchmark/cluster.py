"""Load of a cluster's scheduler, reported as text and JSON."""

from dataclasses import asdict
from pathlib import Path

from seg.benchmark.reporting import check_results, write_results
from seg.benchmark.settings import ClusterBenchmarkSettings
from seg.inference.cluster.simulation import simulate
from seg.terminal.text import text_table


def benchmark_cluster(settings: ClusterBenchmarkSettings, output: Path | None) -> None:
    """Send blocks that compute nothing, print tasks per second and the scheduler's memory, and write JSON.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for text only.

    Raises:
        ConfigError: The cluster cannot be used, or the file cannot be written.
    """
    check_results(output)
    found = simulate(settings.cluster, settings.blocks, settings.batch)
    columns = [
        "cluster",
        "blocks",
        "blocks per task",
        "seconds",
        "tasks/s",
        "scheduler bytes/block",
        "payload bytes/block",
    ]
    row = [settings.cluster, f"{found.blocks:,}", str(found.batch), f"{found.seconds:.1f}"]
    row += [f"{found.blocks / found.batch / found.seconds:.0f}", f"{found.growth:.0f}", f"{found.payload:.0f}"]
    print(text_table(columns, [row]))
    if output is not None:
        write_results({"settings": asdict(settings), "found": asdict(found)}, output)
