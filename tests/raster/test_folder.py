from pathlib import Path

import pytest

from seg.errors import DatasetError, RasterError
from seg.raster.folder import Inputs, by_stem, files_in, first_by_stem, named_scenes, unrecognised_file


def test_files_with_a_raster_suffix_are_found(tmp_path: Path) -> None:
    for name in ("b.TIF", "a.vrt", "a.txt", "c.tif.aux.xml"):
        (tmp_path / name).touch()
    assert [path.name for path in files_in(tmp_path)] == ["a.vrt", "b.TIF"]
    assert [path.name for path in files_in(tmp_path, (".txt",))] == ["a.txt"]


def test_files_are_found_by_their_stems(tmp_path: Path) -> None:
    files = [tmp_path / "b.tif", tmp_path / "a.tif"]
    assert by_stem(files) == first_by_stem(files) == {"b": files[0], "a": files[1]}


def test_two_files_of_one_stem_are_refused_or_the_first_counts(tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "a.tif"]
    with pytest.raises(DatasetError, match=r"a\.tif: has the same stem as a\.png; rename one of them"):
        by_stem(files)
    assert first_by_stem(files) == {"a": files[0]}


def test_jpegs_and_binary_rasters_are_scenes(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.JPEG", "c.dat", "c.hdr", "d", "d.hdr", "e.bsq", "e.bsq.hdr", "f.bmp"):
        (tmp_path / name).touch()
    assert [path.name for path in files_in(tmp_path)] == ["a.jpg", "b.JPEG", "c.dat", "d", "e.bsq", "f.bmp"]


def test_hidden_files_previews_and_headerless_binary_files_are_not_scenes(tmp_path: Path) -> None:
    for name in ("._a.tif", ".hidden.tif", "a.tiff", "a.jpg", "a_thumb.jpg", "log.dat", "README"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert [path.name for path in files_in(tmp_path)] == ["a.tiff"]


def test_a_file_with_an_unknown_suffix_is_found_but_no_sidecar(tmp_path: Path) -> None:
    for name in ("a.tif", "a.tfw", "a.hdr", "a.tif.aux.xml", "b.sid", "c.txt"):
        (tmp_path / name).touch()
    found = [unrecognised_file(tmp_path, stem) for stem in ("a", "b", "c", "d[1]")]
    assert found == [None, tmp_path / "b.sid", None, None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scenes = tmp_path / "scenes"
    for name in ("b.tif", "a.VRT", "c.tif.aux.xml", "notes.md", "deep/d.tif"):
        (scenes / name).parent.mkdir(parents=True, exist_ok=True)
        (scenes / name).touch()
    return scenes


def names(inputs: Inputs) -> list[str]:
    assert inputs.several
    return [scene.name for scene in inputs.scenes]


def test_one_scene_is_one_input(folder: Path) -> None:
    assert named_scenes([folder / "b.tif"]) == Inputs([folder / "b.tif"], several=False)
    assert named_scenes([folder / "missing.tif"]) == Inputs([folder / "missing.tif"], several=False)


def test_an_address_is_one_scene_even_with_pattern_characters() -> None:
    address = Path("https://host/list.txt?x=[1]*")
    assert named_scenes([address]) == Inputs([address], several=False)


def test_a_folder_gives_its_rasters_in_order(folder: Path) -> None:
    assert names(named_scenes([folder])) == ["a.VRT", "b.tif"]


@pytest.mark.parametrize(("pattern", "found"), [("*.tif", ["b.tif"]), ("**/*.tif", ["b.tif", "d.tif"])])
def test_a_pattern_gives_the_matching_files(folder: Path, pattern: str, found: list[str]) -> None:
    assert names(named_scenes([folder / pattern])) == found


def test_a_pattern_starts_at_the_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert named_scenes([Path("*.tif")]).scenes == [Path("b.tif")]
    assert named_scenes([Path("../scenes/b*")]).scenes == [Path("../scenes/b.tif")]


def test_a_file_with_the_characters_of_a_pattern_is_a_scene(folder: Path) -> None:
    (folder / "e[1].tif").touch()
    assert named_scenes([folder / "e[1].tif"]) == Inputs([folder / "e[1].tif"], several=False)


def test_a_list_has_a_scene_per_line_relative_to_its_folder(folder: Path) -> None:
    listed = folder / "list.txt"
    listed.write_text("\ufeff# scenes\n\n  b.tif \nhttps://host/x.tif\n/data/y.tif\n../z z.tif\n", encoding="utf-8")
    wanted = [folder / "b.tif", Path("https://host/x.tif"), Path("/data/y.tif"), folder / "../z z.tif"]
    assert named_scenes([listed]) == Inputs(wanted, several=True)


def test_a_list_in_gbk_may_contain_names_of_gdal(folder: Path) -> None:
    listed = folder / "list.txt"
    listed.write_bytes("耕地.tif\n/vsizip//data/a.zip/b.tif\n".encode("gbk"))
    assert named_scenes([listed]).scenes == [folder / "耕地.tif", Path("/vsizip//data/a.zip/b.tif")]


def test_a_name_of_gdal_is_not_a_pattern(folder: Path) -> None:
    name = Path(f"vrt://{folder}/b.tif?bands=1")
    assert named_scenes([name]) == Inputs([name], several=False)


def test_several_names_are_joined(folder: Path) -> None:
    assert names(named_scenes([folder / "b.tif", folder / "deep"])) == ["b.tif", "d.tif"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("empty", "holds no scene"), ("*.jp2", "no file matches"), ("none.txt", "lists no scene")],
)
def test_a_name_without_scenes_is_refused(folder: Path, name: str, said: str) -> None:
    (folder / "empty").mkdir()
    (folder / "none.txt").write_text("# nothing\n")
    with pytest.raises(RasterError, match=said):
        named_scenes([folder / name])


def test_a_list_with_a_nul_byte_is_refused(folder: Path) -> None:
    (folder / "scenes.txt").write_text("a\0.tif\n")
    with pytest.raises(RasterError, match=r"scenes\.txt: not readable as a list of scenes \(it holds a NUL byte\)"):
        named_scenes([folder / "scenes.txt"])


def test_a_list_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RasterError, match="not readable as a list"):
        named_scenes([folder / "list.txt"])
