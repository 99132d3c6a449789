"""A network computed by ONNX Runtime on the CPU, to be timed."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

from seg.benchmark.timing import Candidate
from seg.models.onnx_export import INPUT, OUTPUT, export_onnx
from seg.models.segmenter import Segmenter


def onnx_candidate(model: Segmenter, shape: Sequence[int], threads: int) -> Candidate:
    """Passes of a network through ONNX Runtime.

    Args:
        model: On the CPU.
        shape: (1, C, H, W) of the image.
        threads: Threads that compute.

    Raises:
        ConfigError: The network cannot be written as ONNX.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, shape[1], path)
        runs = OnnxRuns(path.read_bytes(), shape, threads)
    return Candidate(runs.run, before=runs.open, after=runs.close)


class OnnxRuns:
    """A session that exists only around a timing: it keeps the memory of its largest run, a gigabyte for a megapixel.

    Args:
        content: The ONNX file.
        shape: (1, C, H, W) of the image.
        threads: Threads that compute.
    """

    def __init__(self, content: bytes, shape: Sequence[int], threads: int) -> None:
        self.content = content
        self.image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        # Threads that wait busily after a run would slow down whatever is timed next.
        self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session: onnxruntime.InferenceSession | None = None

    def open(self) -> None:
        """Start a session and let it have its first run."""
        self.session = onnxruntime.InferenceSession(self.content, self.options, providers=["CPUExecutionProvider"])
        self.run()

    def run(self) -> None:
        """One pass, in an open session."""
        if self.session is not None:
            self.session.run([OUTPUT], {INPUT: self.image})

    def close(self) -> None:
        """Give the memory back."""
        self.session = None
