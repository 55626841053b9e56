"""Make the catalogue of mmsegmentation's published checkpoints, `published.json`.

    python tools/mmseg.py CHECKPOINTS.json MMSEG

CHECKPOINTS.json lists for each checkpoint its URL, its configuration's name, and the settings that
are not in the weights. MMSEG is the folder of the package mmsegmentation 1.2.2, whose metafiles
have the scores and whose data sets have names and colours; it is read as text. Sizes of the files
are not published: they are the tensors' bytes of the networks that `benchmarks/mmsegmentation.py
--sizes` builds, given by --sizes. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

OUT = Path(__file__).resolve().parents[1] / "models" / "imports" / "mmseg" / "published.json"
HOST = "https://download.openmmlab.com/mmsegmentation/"
_END = re.compile(r"_\d{8}_\d{6}-([0-9a-f]{8})\.pth$")
# part of a checkpoint's name -> (the data set, its class in the package)
DATASETS = {
    "cityscapes": ("Cityscapes", "CityscapesDataset"),
    "ade20k": ("ADE20K", "ADE20KDataset"),
    "voc12aug": ("Pascal VOC 2012 + Aug", "PascalVOCDataset"),
    "pascal_context_59": ("Pascal Context 59", "PascalContextDataset59"),
    "pascal_context": ("Pascal Context", "PascalContextDataset"),
    "coco-stuff10k": ("COCO-Stuff 10k", "COCOStuffDataset"),
    "coco-stuff164k": ("COCO-Stuff 164k", "COCOStuffDataset"),
    "loveda": ("LoveDA", "LoveDADataset"),
    "potsdam": ("Potsdam", "PotsdamDataset"),
    "vaihingen": ("Vaihingen", "ISPRSDataset"),
    "isaid": ("iSAID", "iSAIDDataset"),
    "mapillay": ("Mapillary Vistas v1.2", "MapillaryDataset_v1"),
}
# what an FCNHead, or the weights, already say
_IN_THE_WEIGHTS = {"in_channels", "channels", "num_classes", "ocr_channels", "pam_channels"}
_IN_THE_WEIGHTS |= {"c1_in_channels", "c1_channels", "ema_channels", "isa_channels"}
_IN_THE_WEIGHTS |= {"project_channels", "num_codes", "num_bases", "reduction", "ratio"}


def main() -> None:
    """Write the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("--sizes", type=Path, help="JSON of path -> bytes")
    given = parser.parse_args()
    rows = json.loads(given.checkpoints.read_text(encoding="utf-8"))
    scores = read_scores(given.package)
    before = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {"checkpoints": []}
    sizes = {row["url"]: row["bytes"] for row in before["checkpoints"]}
    if given.sizes:
        sizes |= json.loads(given.sizes.read_text(encoding="utf-8"))
    settings: list[dict[str, Any]] = []
    checkpoints = [describe(row, scores, sizes, settings) for row in rows]
    catalogue = {
        "source": "mmsegmentation 1.2.2, metafiles",
        "licence": "Apache-2.0",
        "host": HOST,
        "settings": settings,
        "datasets": read_datasets(given.package),
        "checkpoints": sorted(checkpoints, key=lambda row: str(row["name"])),
    }
    OUT.write_text(dump(catalogue), encoding="utf-8")
    print(f"wrote {OUT}: {len(checkpoints)} checkpoints, {len(settings)} settings")


def describe(
    row: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, float]],
    sizes: Mapping[str, int],
    settings: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return the catalogue's row of a checkpoint; adds its settings where they are new."""
    url = path_of(row["url"])
    file = url.rsplit("/", 1)[1]
    name = _END.sub("", file)
    setting = settings_of(row, name)
    if setting not in settings:
        settings.append(setting)
    metrics = scores.get(url, {})
    part = next(part for part in DATASETS if part in name.lower().replace("-context", "_context"))
    crop, steps = re.search(r"[-_](\d{3,})x(\d{3,})", name), re.search(r"[-_](\d+)k_", name + "_")
    return {
        "name": name,
        "family": row["family"],
        "dataset": DATASETS[part][0],
        "classes": row["num_classes"],
        "mean_iou": metrics.get("mIoU"),
        "mean_iou_flip": metrics.get("mIoU(ms+flip)"),
        "crop": [int(side) for side in crop.groups()] if crop else None,
        "iterations": 1000 * int(steps[1]) if steps else None,
        "url": url,
        "bytes": sizes.get(url),
        "settings": settings.index(setting),
    }


def settings_of(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what the importer needs beside the weights, in the words of a configuration."""
    backbone = {key: value for key, value in row["backbone"].items() if key != "depth"}
    if backbone["type"] != "HRNet":  # some metafiles name another one than the file's name does
        backbone["type"] = "ResNet" if re.search(r"_r\d+b|rsb", name) else "ResNetV1c"
    head = {key: value for key, value in row["head"].items() if key not in _IN_THE_WEIGHTS}
    model: dict[str, Any] = {"type": "EncoderDecoder", "backbone": backbone, "decode_head": head}
    if head["type"] == "OCRHead":
        shared = {key: head[key] for key in ("align_corners", "dropout_ratio")}
        where = ("in_index", "input_transform") if "input_transform" in head else ()
        coarse = {"type": "FCNHead", "in_index": 2, **shared, **{key: head[key] for key in where}}
        model |= {"type": "CascadeEncoderDecoder", "decode_head": [coarse, head]}
    if row["aux"]:
        # FCN's own dilation is that of its auxiliary head too
        where = {key: head[key] for key in ("align_corners", "dilation") if key in head}
        aux = {"type": "FCNHead", "in_index": 2, **where}
        model["auxiliary_head"] = aux
    return {**model, "test_cfg": row["test_cfg"]}


def path_of(url: str) -> str:
    """Return the path below `HOST`; one metafile misspells the host."""
    return url.split("/mmsegmentation/", 1)[1]


def read_scores(package: Path) -> dict[str, dict[str, float]]:
    """Return path of the weights -> metrics, of all metafiles."""
    found = {}
    for file in sorted(package.glob(".mim/configs/*/metafile.yaml")):
        for model in yaml.safe_load(file.read_text(encoding="utf-8"))["Models"]:
            results = model["Results"]
            for result in results if isinstance(results, list) else [results]:
                if model.get("Weights"):
                    found[path_of(model["Weights"])] = dict(result["Metrics"])
    return found


def read_datasets(package: Path) -> dict[str, Any]:
    """Return data set -> names and colours of its classes."""
    metas: dict[str, dict[str, Any]] = {}
    for file in sorted((package / "datasets").glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                metas[node.name] = next(filter(None, map(_meta, node.body)), {})
    return {
        title: {
            "names": list(metas[kind]["classes"]),
            "colours": ["".join(f"{v:02x}" for v in rgb) for rgb in metas[kind]["palette"]],
        }
        for title, kind in DATASETS.values()
    }


def _meta(node: ast.stmt) -> dict[str, Any] | None:
    """Return the literals of `METAINFO = dict(…)`."""
    is_meta = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "METAINFO"
    if not is_meta or not isinstance(node.value, ast.Call):  # type: ignore[attr-defined]
        return None
    words = node.value.keywords  # type: ignore[attr-defined]
    return {str(word.arg): ast.literal_eval(word.value) for word in words}


def dump(catalogue: Mapping[str, Any]) -> str:
    """Return the catalogue as JSON, one row a line."""
    parts = []
    for key, value in catalogue.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list):
            lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in value)
            text = f"[\n{lines}\n]"
        elif isinstance(value, dict):
            lines = ",\n".join(
                f"{json.dumps(name)}: {json.dumps(item, ensure_ascii=False)}"
                for name, item in value.items()
            )
            text = f"{{\n{lines}\n}}"
        parts.append(f"{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
