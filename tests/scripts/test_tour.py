"""`scripts/tour.ipynb` runs from end to end: in a short version in the suite, and in full as a campaign."""

from pathlib import Path

import geopandas
import nbformat
import pytest
from nbclient import NotebookClient

from support.project import SCRIPTS, environment

NOTEBOOK = SCRIPTS / "tour.ipynb"
PICTURES = 5
MOST_SECONDS = 180


def run_tour(folder: Path, epochs: int) -> nbformat.NotebookNode:
    """Run the notebook with a folder for its files; return the notebook with its outputs."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(SCRIPTS)}})
    settings = {"TOUR_FOLDER": str(folder / "tour"), "TOUR_EPOCHS": str(epochs), "IPYTHONDIR": str(folder / "ipython")}
    return client.execute(env=environment() | settings)


def pictures(notebook: nbformat.NotebookNode) -> int:
    """Number of pictures in the outputs of a notebook."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_tour_is_stored_without_outputs() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_tour_runs_from_the_dataset_to_parcels(tmp_path: Path) -> None:
    notebook = run_tour(tmp_path, epochs=1)
    assert pictures(notebook) == PICTURES
    assert len(geopandas.read_file(tmp_path / "tour" / "parcels.gpkg")) > 0


@pytest.mark.campaign
def test_tour_takes_less_than_three_minutes(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    notebook = run_tour(tmp_path, epochs=40)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # CPU time, since wall time depends on other load on the machine.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MOST_SECONDS
    assert pictures(notebook) == PICTURES
