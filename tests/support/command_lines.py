"""Command lines of all commands with inputs from `support.world`, for campaigns that damage inputs or kill commands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A command line, and its inputs that a campaign may damage.

    Attributes:
        words: The command line; names are relative to the folder of the inputs.
        targets: Files that may be damaged, or folders in which any file may be damaged.
        needs: Other files and folders that the command reads.
    """

    words: str
    targets: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def is_dear(self) -> bool:
        """True if the command trains or runs a network; such a command takes a second or more."""
        return self.words.split()[0] in {"train", "predict", "describe", "adapt"} or "suggest" in self.words


PREDICT = "predict --model=model --threads=1 --backend=torch"
DELIVER = "deliver --template=template.yaml --zones=counties.gpkg"
FIT = "train fit --config=config.yaml"
SCORE = "--config=config.yaml --ckpt_path=run/checkpoints/last.ckpt"

LINES = (
    Line(
        f"{PREDICT} --input=scene.tif --output=out.tif",
        ("scene.tif", "model/model.json", "model/model.safetensors"),
        ("model",),
    ),
    Line("predict --model=model --input=scene.tif --output=out.tif --threads=1", ("scene.tif", "model"), ("model",)),
    Line(f"{PREDICT} --input=mosaic.vrt --output=out.tif", ("mosaic.vrt", "scenes"), ("model",)),
    Line(f"{PREDICT} --input=scenes --output=out", ("scenes",), ("model",)),
    Line(f"{PREDICT} --input=list.txt --output=out", ("list.txt", "scenes"), ("model",)),
    Line(f"{PREDICT} --input=scene.tif --output=out.tif --area=area.gpkg", ("area.gpkg", "scene.tif"), ("model",)),
    Line(
        f"{PREDICT} --input=scene.tif --output=out.tif --tta.dihedral --uncertainty --block-size=16 --halo=8",
        ("scene.tif",),
        ("model",),
    ),
    Line(FIT, ("config.yaml", "config.yaml", "data"), ("data",)),
    Line(f"{FIT} --data.root=listed", ("listed/manifest.csv", "data"), ("data", "config.yaml")),
    Line(f"{FIT} --data.root=listed_parquet", ("listed_parquet/manifest.parquet",), ("data", "config.yaml")),
    Line(
        f"{FIT} --trainer.default_root_dir=run --ckpt_path=last --trainer.max_epochs=2",
        ("run/checkpoints/last.ckpt", "run", "config.yaml"),
        ("data", "run"),
    ),
    Line(f"train validate {SCORE}", ("run/checkpoints/last.ckpt", "data"), ("config.yaml", "data")),
    Line(f"train test {SCORE}", ("run/checkpoints/last.ckpt", "data/masks"), ("config.yaml", "data")),
    Line("export --checkpoint=run/checkpoints/last.ckpt --output=new_model", ("run/checkpoints/last.ckpt",)),
    Line("export --checkpoint=run/checkpoints/last.ckpt --output=model", ("model",), ("run/checkpoints/last.ckpt",)),
    Line(
        "evaluate --prediction=map.tif --reference=reference.tif --output=report --bootstrap=3 --image=scene.tif",
        ("map.tif", "reference.tif", "map_probability.tif", "scene.tif"),
    ),
    Line(
        "evaluate --prediction=map.tif --reference=parcels.gpkg --vector.column=crop --vector.cropland=wheat,maize "
        "--output=report --bootstrap=0",
        ("parcels.gpkg", "map.tif"),
    ),
    Line(
        "evaluate --prediction=map.tif --reference=reference.tif --strata=strata.tif --folds=folds.tif --fold=1 "
        "--output=report --bootstrap=0",
        ("strata.tif", "folds.tif"),
        ("map.tif", "reference.tif"),
    ),
    Line(
        "evaluate sample --prediction=map.tif --zones=zones.tif --output=drawn.gpkg --points=12 --minimum=4",
        ("map.tif", "zones.tif"),
    ),
    Line("evaluate area --points=points.gpkg --output=report", ("points.gpkg", "points.design.json")),
    Line(
        "evaluate area --points=points.csv --design=points.design.json --output=report",
        ("points.csv", "points.design.json"),
    ),
    Line(
        "evaluate area --points=points.geojson --design=points.design.json --output=report --prediction=map.tif",
        ("points.geojson", "map.tif"),
        ("points.design.json",),
    ),
    Line(
        "evaluate change --before=map.tif --after=after.tif --output=change",
        ("map.tif", "after.tif", "map_probability.tif", "after_probability.tif"),
    ),
    Line(
        "evaluate zones --prediction=map.tif --zones=parcels.gpkg --zone-attribute=crop --reference=reference.tif "
        "--points=points.gpkg --output=table",
        ("parcels.gpkg", "map.tif", "points.gpkg"),
        ("reference.tif", "points.design.json"),
    ),
    Line("polygons --input=map.tif --output=out.gpkg --min-area=500m2", ("map.tif",)),
    Line(
        "polygons --input=map.tif --output=out.geojson --probability=map_probability.tif --simplify=15",
        ("map.tif", "map_probability.tif"),
    ),
    Line("polygons --input=map.tif --output=out.gdb --crs=EPSG:4326", ("map.tif",)),
    Line(
        "polygons --input=map.tif --output=out.shp --attributes=counties.gpkg",
        ("counties.gpkg", "map.tif"),
    ),
    Line(f"{DELIVER} --parcels=parcels.gpkg --output=delivery", ("template.yaml", "parcels.gpkg", "counties.gpkg")),
    Line("polygons --input=map.tif --output=out.parquet --interior=interior.tif", ("interior.tif", "map.tif")),
    Line(
        "polygons --input=map.tif --output=out.shp --encoding=gbk --attributes=area.gpkg --crs=EPSG:3857",
        ("map.tif", "area.gpkg"),
    ),
    Line(
        "deliver check --template=template.yaml --delivery=delivered --zones=counties.gpkg",
        ("template.yaml", "delivered", "counties.gpkg"),
    ),
    Line("prepare check --input=data --output=check.json --sheet=check.png", ("data",)),
    Line("prepare check --input=listed --json", ("listed/manifest.csv", "data/masks"), ("data",)),
    Line("prepare stats --input=data", ("data/images",), ("data",)),
    Line("prepare stats --input=listed --json", ("listed/manifest.csv",), ("data",)),
    Line("prepare stack --input=bands --output=stack.vrt", ("bands",)),
    Line("prepare image --input=S2.SAFE --output=may.vrt --mask=auto", ("S2.SAFE",)),
    Line("prepare image --input=landsat/LC08.tar --output=may.tif --bands=[red,nir] --mask=auto", ("landsat",)),
    Line("prepare composite --input scene.tif scenes/west.tif --output=summer.tif", ("scene.tif", "scenes")),
    Line("prepare split --input=data --output=split --stratify", ("data",)),
    Line("prepare split --input=data --output=split --by=blocks --block-size-m=80 --guard-m=10 --folds=2", ("data",)),
    Line("prepare split --input=listed --replace", ("listed/manifest.csv",), ("data",)),
    *(
        Line(
            f"prepare burn --image=scene.tif --labels={labels} --output=mask.tif --column=crop --cropland=wheat,maize",
            (labels, labels, "scene.tif"),
        )
        for labels in ("parcels.gpkg", "parcels.geojson", "parcels.parquet")
    ),
    Line(
        "prepare burn --image=data/images --labels=shapes/parcels.shp --output=burnt --ignore-buffer=1 "
        "--cropland-where=code<3",
        ("shapes", "shapes", "data/images"),
    ),
    Line("prepare import --source=loveda --input=LoveDA --output=imported", ("LoveDA",)),
    Line("prepare import --source=deepglobe --input=deepglobe --output=imported --copy", ("deepglobe",)),
    Line("prepare import --source=gid --input=gid --output=imported", ("gid",)),
    Line("prepare import --source=ftw --input=ftw --output=imported", ("ftw", "ftw/austria/chips_austria.parquet")),
    Line("describe --config=config.yaml --size=32", ("config.yaml",)),
    Line("describe --model=model --size=32", ("model/model.json", "model/model.safetensors"), ("model",)),
    Line("describe --model=model --size=32 --checkpoint=run/checkpoints/last.ckpt", ("run/checkpoints",), ("model",)),
    Line(
        "adapt --model=model --input=scenes --output=adapted --windows=2 --device=cpu",
        ("scenes", "model/model.json"),
        ("model",),
    ),
    Line(
        "prepare suggest --model=model --input=scene.tif --output=squares.gpkg --count=2 --size-m=160 --device=cpu "
        "--labelled=parcels.gpkg --like=area.gpkg",
        ("scene.tif", "parcels.gpkg", "area.gpkg"),
        ("model",),
    ),
    Line("restore --run=tracked --output=restored", ("tracked",)),
)
"""Command lines of all commands except the benchmarks, which have no input files."""
