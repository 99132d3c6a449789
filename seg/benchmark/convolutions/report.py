"""Report on kinds of convolutions, as text and JSON."""

from dataclasses import asdict
from pathlib import Path

from seg.benchmark.convolutions.compare import (
    DEPTHWISE,
    POINTWISE,
    SEPARABLE,
    STANDARD,
    ConvolutionReport,
    ConvolutionRow,
    measure_convolutions,
)
from seg.benchmark.reporting import check_results, write_results
from seg.benchmark.settings import ConvolutionSettings
from seg.terminal.text import number, text_table

LEGEND = """MB moved: each convolution reads its input and weights once and writes its output once, in float32. GMAC/s
and x faster are measured in the faster float32 layout. x fewer MACs and x faster compare transposed kinds
with the transposed convolution, and all others with the standard convolution. roofline ms: max(MACs / peak GMAC/s,
bytes / peak GB/s), with the larger of the two limits; for a kind of two convolutions, the sum over both."""

SPEEDUP_SHARE = 0.9
"""A convolution with n times fewer parameters counts as n times as fast if its speed-up is at least this share of n."""


def benchmark_convolutions(settings: ConvolutionSettings, output: Path | None) -> None:
    """Run the convolution benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The device is absent, or the file cannot be written.
    """
    check_results(output)
    report = measure_convolutions(settings)
    print(text_of(report))
    write_results(json_of(report), output)


def text_of(report: ConvolutionReport) -> str:
    """Report as text for the terminal."""
    settings, ceilings = report.settings, report.ceilings
    shape = f"float32, {settings.channels} channels in and out, {settings.size}x{settings.size} cells, batch of 1"
    peaks = (
        f"at most {number(ceilings.matmul_macs_per_second / 1e9)} GMAC/s in a large matrix product, "
        f"{number(ceilings.convolution_macs_per_second / 1e9)} in the best convolution; "
        f"{number(ceilings.bytes_per_second / 1e9)} GB/s in a large copy (read + write)\n"
        f"so computing limits layers of more than {number(ceilings.balance)} MAC per byte; memory limits all others"
    )
    return "\n\n".join([str(report.machine), f"{shape}\n{peaks}", _table(report), LEGEND, answer(report)])


def json_of(report: ConvolutionReport) -> dict[str, object]:
    """Report as plain values, in seconds and bytes."""
    rows = [
        {
            "name": row.name,
            "parameters": row.cost.parameters,
            "macs": row.cost.macs,
            "bytes_moved": row.cost.bytes_moved,
            "macs_per_byte": row.cost.intensity,
            "seconds": dict(row.seconds),
            "macs_per_second": row.macs_per_second,
            "times_fewer_macs": row.fewer_macs,
            "times_faster": row.faster,
            "roofline_seconds": row.roof.seconds,
            "roofline_limits": list(row.roof.limits),
        }
        for row in report.rows
    ]
    return {
        "machine": asdict(report.machine),
        "settings": asdict(report.settings),
        "ceilings": asdict(report.ceilings),
        "rows": rows,
    }


def answer(report: ConvolutionReport) -> str:
    """Explain in one sentence why a separable convolution with a tenth of the parameters is not ten times faster."""
    standard, separable = report.row(STANDARD), report.row(SEPARABLE)
    smaller = standard.cost.parameters / separable.cost.parameters
    has = f"The separable convolution has {number(smaller)} times fewer parameters than the standard convolution"
    if separable.faster >= SPEEDUP_SHARE * smaller:
        return f"{has} and is {number(separable.faster)} times as fast."
    intensities = number(separable.cost.intensity), number(standard.cost.intensity)
    return (
        f"{has} but is only {number(separable.faster)} times as fast: it computes {intensities[0]} MAC per moved byte "
        f"(standard: {intensities[1]}) and reaches {_rate(separable)} GMAC/s (standard: {_rate(standard)}); "
        f"{_halves(report)}."
    )


def _halves(report: ConvolutionReport) -> str:
    depthwise, pointwise = report.row(DEPTHWISE), report.row(POINTWISE)
    limited = "memory" in depthwise.roof.limits
    why = f" ({number(depthwise.cost.intensity)} MAC per byte, so memory limits it)" if limited else ""
    return f"its depthwise half reaches {_rate(depthwise)}{why}, and its pointwise half reaches {_rate(pointwise)}"


def _rate(row: ConvolutionRow) -> str:
    return number(row.macs_per_second / 1e9)


def _table(report: ConvolutionReport) -> str:
    modes = list(report.rows[0].seconds)
    titles = [
        "convolution",
        "parameters",
        "MMAC",
        "MB moved",
        "MAC/byte",
        *(f"ms {mode}" for mode in modes),
        "GMAC/s",
        "x fewer MACs",
        "x faster",
        "roofline ms",
        "limit",
    ]
    rows = [
        [
            row.name,
            f"{row.cost.parameters:,}",
            number(row.cost.macs / 1e6),
            number(row.cost.bytes_moved / 1e6),
            number(row.cost.intensity),
            *(number(row.seconds[mode] * 1e3) for mode in modes),
            _rate(row),
            number(row.fewer_macs),
            number(row.faster),
            number(row.roof.seconds * 1e3),
            " + ".join(row.roof.limits),
        ]
        for row in report.rows
    ]
    return text_table(titles, rows)
