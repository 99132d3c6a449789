import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from seg.data.checking.check import Options, Report, check_dataset
from seg.data.checking.findings import warning
from seg.data.checking.report import SHOWN_FINDINGS, json_report, text_report
from support.planted_dataset import FOLDS, PlantedDataset


def checked(dataset: PlantedDataset) -> Report:
    return check_dataset(dataset.root, Options(folds=FOLDS))


def test_the_table_has_a_line_per_scene_and_a_total_line(dataset: PlantedDataset) -> None:
    lines = text_report(checked(dataset)).splitlines()
    assert [line.replace("|", " ").split()[0] for line in [lines[0], *lines[2:7]]] == [
        "scene",
        *(f"scene_{n}.tif" for n in range(4)),
        "all",
    ]
    assert lines[2].replace("|", " ").split()[:6] == ["scene_0.tif", "0", "16", "16", "3", "uint16"]
    assert lines[0].replace("|", " ").split()[9] == "valid"
    assert lines[3].replace("|", " ").split()[9] == "98.5%"
    assert lines[-1] == f"{dataset.root}: 4 scenes, 0 errors, 0 warnings, 0 notes"
    assert not any(line != line.rstrip() for line in lines)


def test_shares_of_a_scene_add_up_to_all_its_pixels(dataset: PlantedDataset) -> None:
    scene = json.loads(json_report(checked(dataset)))["scenes"][1]
    assert sum(scene["labels"].values()) + scene["nodata"] == scene["width"] * scene["height"]
    assert scene["nodata"] == 4


def test_scene_that_cannot_be_read_keeps_its_line(dataset: PlantedDataset) -> None:
    dataset.image(1).write_text("notes")
    report = checked(dataset)
    assert text_report(report).splitlines()[3].replace("|", " ").split() == ["scene_1.tif", "1", *["-"] * 11]
    assert json.loads(json_report(report))["totals"]["scenes_measured"] == 3


def test_scene_without_data_is_written_as_json(dataset: PlantedDataset) -> None:
    dataset.rewrite(dataset.image(1), dataset.read(dataset.image(1)) * np.uint16(0))
    scene = json.loads(json_report(checked(dataset)))["scenes"][1]
    assert (scene["valid"], scene["values"]) == (0, [])


def test_many_findings_of_a_kind_are_cut_in_text_but_not_in_json(dataset: PlantedDataset) -> None:
    findings = tuple(warning("dtype", Path(f"{n}.tif"), "holds int8") for n in range(SHOWN_FINDINGS + 3))
    report = replace(checked(dataset), findings=findings)
    lines = text_report(report).splitlines()
    assert sum(line.startswith("warning [dtype] ") for line in lines) == SHOWN_FINDINGS + 1
    assert "warning [dtype] ... and 3 more; --json lists all" in lines
    assert len(json.loads(json_report(report))["findings"]) == SHOWN_FINDINGS + 3


def test_empty_dataset_has_a_report(dataset: PlantedDataset) -> None:
    dataset.list_scenes([])
    text = text_report(checked(dataset))
    assert text.startswith("error [empty-dataset] ")
    assert json.loads(json_report(checked(dataset)))["totals"]["pixels"] == 0
