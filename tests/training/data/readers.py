"""Data sets of eight images for every reader, each with members that are broken or odd.

A writer gets an empty folder. Beside what is right, it writes what real folders hold: annotations
without an outline, of an unknown class, of an image that is not there, twice; files that cannot be
read; masks without an image.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.training.data.documents import SQUARE

SIZE = (24, 32)
NUMBER = 8
Write = Callable[[Path], int | None]  # returns the number of annotations in files


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def photos(folder: Path, name: str = "{n}.png", *, first: int = 0, number: int = NUMBER) -> None:
    for place in range(first, first + number):
        rng = np.random.default_rng(place)
        small = rng.integers(0, 255, (6, 8, 3), np.uint8)
        large = Image.fromarray(small).resize(SIZE[::-1], Image.Resampling.BICUBIC)
        save(folder / name.format(n=place), np.asarray(large))


def masks(folder: Path, name: str = "{n}.png", *, left: int = 4, value: int = 255) -> None:
    for place in range(NUMBER):
        mask = np.zeros(SIZE, np.uint8)
        mask[4:12, left : left + 4 + place % 3] = value
        save(folder / name.format(n=place), mask)


def text(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def mask_files(root: Path) -> None:
    photos(root / "images")
    masks(root / "masks")
    masks(root / "masks_color")
    save(root / "masks/99.png", np.zeros(SIZE, np.uint8))
    photos(root / "images", first=50, number=1)
    text(root / "images/60.png", "this is no image")


def splits(root: Path) -> None:
    photos(root / "train/images", number=5)
    photos(root / "held_out/images", first=5, number=3)
    for place in range(NUMBER):
        mask = np.zeros(SIZE, np.uint8)
        mask[4:12, 4 : 8 + place % 3] = 1
        save(root / ("train" if place < 5 else "held_out") / f"masks/{place}.png", mask)


def objects(root: Path) -> None:
    photos(root / "images")
    for place, name in enumerate(("a1", "b2c", "d7")):
        masks(root / "masks", f"{{n}}_{name}{{n}}.png", left=4 + 8 * place)


def classes(root: Path) -> None:
    photos(root / "images")
    masks(root / "masks/car")
    masks(root / "masks/road", left=16)
    save(root / "masks/road/99.png", np.zeros(SIZE, np.uint8))


def one_folder(root: Path) -> None:
    photos(root, "{n}_sat.jpg")
    masks(root, "{n}_mask.png")
    photos(root, "{n}_sat.jpg", first=20, number=1)


def arrays(root: Path) -> None:
    photos(root / "images")
    for place in range(NUMBER):
        mask = np.zeros(SIZE, np.uint8)
        mask[4:12, 4 : 8 + place % 3] = 1
        (root / "masks").mkdir(exist_ok=True)
        np.save(root / f"masks/{place}.npy", mask)


def good_parts(root: Path) -> None:
    photos(root / "bottle/test/broken")
    masks(root / "bottle/ground_truth/broken", "{n}_mask.png")
    photos(root / "bottle/test/good", first=20, number=2)


def voc(root: Path) -> None:
    photos(root / "JPEGImages", "{n}.jpg", number=NUMBER + 1)
    masks(root / "SegmentationClass", value=1)
    masks(root / "SegmentationObject", value=1)
    lists = root / "ImageSets/Segmentation"
    text(lists / "train.txt", "".join(f"{n}\n" for n in range(4)) + "77\n")
    text(lists / "val.txt", "5\n6\n7\n8\n")
    text(root / "Annotations/0.xml", "<annotation><object><bndbox/></object></annotation>")


def csv_list(root: Path) -> None:
    photos(root / "images", number=NUMBER + 1)
    masks(root / "masks")
    masks(root / "other", left=10)
    rows = [f"images/{n}.png,masks/{n}.png,{'val' if n > 5 else 'train'}" for n in range(NUMBER)]
    text(root / "list.csv", "\n".join(["image,mask,split", *rows, rows[0], "images/77.png,x,val"]))


def text_lists(root: Path) -> None:
    photos(root / "images")
    masks(root / "masks")
    for split, places in (("train", range(5)), ("val", range(5, NUMBER))):
        text(root / f"{split}.txt", "".join(f"images/{n}.png masks/{n}.png\n" for n in places))


COCO_CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
RING = [number for point in SQUARE for number in point]


def coco_content(places: range) -> dict[str, object]:
    images = [{"id": n, "file_name": f"{n}.png", "height": 24, "width": 32} for n in places]
    rows = [{"image_id": n, "category_id": 1 + n % 2, "segmentation": [RING]} for n in places]
    first = places[0]
    rows += [
        {"image_id": first, "category_id": 1, "bbox": [1, 2, 3, 4]},
        {"image_id": first, "category_id": 9, "segmentation": [RING]},
        {"image_id": 99, "category_id": 1, "segmentation": [RING]},
        {"image_id": 98, "category_id": 1, "segmentation": [RING]},
        {"image_id": first, "category_id": 1, "segmentation": [RING[:4]]},
        dict(rows[0]),
    ]
    images.append({"id": 99, "file_name": "gone.png", "height": 24, "width": 32})
    return {"images": images, "annotations": rows, "categories": COCO_CATEGORIES}


def coco(root: Path) -> int:
    photos(root / "images", number=NUMBER + 1)
    text(root / "annotations/instances_train.json", coco_content(range(5)))
    text(root / "annotations/instances_val.json", coco_content(range(5, NUMBER)))
    text(root / "annotations/notes.json", "{")
    return 20


def panoptic(root: Path) -> int:
    photos(root / "images", number=NUMBER + 1)
    rows = []
    for place in range(NUMBER):
        pixels = np.zeros((*SIZE, 3), np.uint8)
        pixels[:8, :, 0] = 7
        pixels[8:16, :, 0] = 9
        save(root / f"annotations/panoptic_train/{place}.png", pixels)
        segments = [{"id": 7, "category_id": 1}, {"id": 9, "category_id": 5}]
        rows.append({"image_id": place, "file_name": f"{place}.png", "segments_info": segments})
    rows.append({"image_id": 77, "file_name": "77.png", "segments_info": []})
    rows.append(dict(rows[0]))
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(NUMBER)]
    content = {"images": images, "annotations": rows, "categories": COCO_CATEGORIES}
    text(root / "annotations/panoptic_train.json", content)
    save(root / "annotations/panoptic_train/77.png", np.zeros((*SIZE, 3), np.uint8))
    return 26


def labelme_rows(place: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"label": "cat", "points": SQUARE, "shape_type": "polygon"},
        {"label": "cat", "points": SQUARE, "shape_type": "polygon"},
    ]
    if place == 0:
        rows.append({"label": "cat", "points": [[1, 1]], "shape_type": "point"})
        rows.append({"label": "dog", "points": [[20, 2], [29, 9]], "shape_type": "rectangle"})
    return rows


def labelme(root: Path) -> int:
    photos(root / "images", number=NUMBER + 1)
    for place in range(NUMBER):
        text(root / f"images/{place}.json", {"shapes": labelme_rows(place)})
    text(root / "images/99.json", {"shapes": labelme_rows(1)})
    text(root / "images/notes.json", "{")
    return 20


def yolo(root: Path) -> int:
    photos(root / "images/train", number=5)
    photos(root / "images/val", first=5, number=4)
    for place in range(NUMBER):
        split = "train" if place < 5 else "val"
        lines = "0 .1 .1 .5 .1 .5 .5\n0 .5 .5 .2 .2\n" + "7 .1 .1 .2 .2 .1 .3 .9\n" * (place == 0)
        text(root / f"labels/{split}/{place}.txt", lines)
    text(root / "labels/val/99.txt", "0 .1 .1 .5 .1 .5 .5\n")
    text(root / "classes.txt", "cat\ndog\n")
    return 18


def via(root: Path) -> int:
    photos(root / "images", number=NUMBER + 1)

    def region(name: str, kind: str = "polygon") -> dict[str, object]:
        across, down = zip(*SQUARE, strict=True)
        shape = {"name": kind, "all_points_x": across, "all_points_y": down}
        return {"shape_attributes": shape, "region_attributes": {"class": name}}

    rows = {
        f"{n}.png1": {"filename": f"{n}.png", "size": 1, "regions": [region("cat")]}
        for n in range(NUMBER)
    }
    rows["0.png1"]["regions"] = [region("cat"), region("cat"), region("dog", "rect"), {}]
    rows["gone.png1"] = {"filename": "gone.png", "size": 1, "regions": [region("cat")]}
    rows["0.png2"] = {"filename": "0.png", "size": 2, "regions": [region("cat")]}
    text(root / "via.json", rows)
    text(root / "via_backup.json", "{")
    return 13


def label_studio(root: Path) -> int:
    photos(root / "images", number=NUMBER + 1)
    stated = {"original_width": 32, "original_height": 24}
    points = [[12, 8], [37, 8], [37, 41], [12, 41]]

    def result(kind: str, labels: list[str], **value: object) -> dict[str, object]:
        return {"id": "r", **stated, "type": kind, "value": {**value, kind: labels}}

    polygon = result("polygonlabels", ["cat"], points=points)
    tasks = [
        {"data": {"image": f"/d/0a1b2c3d-{n}.png"}, "annotations": [{"result": [polygon]}]}
        for n in range(NUMBER)
    ]
    odd = [
        result("rectanglelabels", ["cat"], x=1, y=1, width=5, height=5),
        result("brushlabels", ["cat"], format="rle", rle=[1, 2, 3]),
        result("polygonlabels", [], points=points),
    ]
    tasks[0]["annotations"] = [{"result": [polygon, *odd]}]
    tasks.append({"data": {"image": "gone.png"}, "annotations": [{"result": [polygon]}]})
    tasks.append({"data": {"image": "8.png"}, "annotations": []})
    tasks.append(dict(tasks[1]))
    text(root / "project.json", tasks)
    text(root / "old.json", "[")
    return 13


def cvat(root: Path) -> int:
    photos(root / "images", number=NUMBER + 1)
    polygon = '<polygon label="cat" points="4,2;12,2;12,10;4,10"/>'
    odd = '<box label="dog" xtl="1" ytl="1" xbr="4" ybr="4"/><polygon label="cat" points="1;2"/>'
    names = [*(f"{n}.png" for n in range(NUMBER)), "gone.png", "1.png"]
    rows = "".join(
        f'<image id="{n}" name="{name}" width="32" height="24">{polygon}{odd * (n == 0)}</image>'
        for n, name in enumerate(names)
    )
    text(root / "annotations.xml", f"<annotations><version>1.1</version>{rows}</annotations>")
    text(root / "broken.xml", "<annotation><image>")
    return 12


def supervisely(root: Path) -> int:
    photos(root / "ds0/img", number=NUMBER + 1)
    polygon = {
        "classTitle": "cat",
        "geometryType": "polygon",
        "points": {"exterior": SQUARE, "interior": []},
    }
    box = {**polygon, "geometryType": "rectangle", "classTitle": "dog"}
    for place in range(NUMBER):
        rows = [polygon, polygon, box, {"geometryType": "polygon"}] if place == 0 else [polygon]
        content = {"size": {"height": 24, "width": 32}, "objects": rows}
        text(root / f"ds0/ann/{place}.png.json", content)
    text(root / "ds0/ann/gone.png.json", {"objects": []})
    text(root / "meta.json", {})
    return 11


def labelme_folders(root: Path) -> int:
    for place in range(NUMBER):
        photos(root / f"x{place}_json", "img.png", first=place, number=1)
        codes = np.zeros(SIZE, np.uint8)
        codes[2:9, 4:9] = 1
        codes[12:15, 4:9] = 7 if place == 0 else 0
        save(root / f"x{place}_json/label.png", codes)
        save(root / f"x{place}_json/label_viz.png", np.zeros((*SIZE, 3), np.uint8))
        text(root / f"x{place}_json/label_names.txt", "_background_\ncat\n")
    save(root / "x99_json/img.png", np.zeros((*SIZE, 3), np.uint8))
    return 17


def ade20k(root: Path) -> int:
    folder = root / "ADE/training/street"
    photos(folder, "ADE_{n}.jpg")
    for place in range(NUMBER):
        colours = np.zeros((*SIZE, 3), np.uint8)
        colours[2:9, 4:9] = (110, 162, place)  # 11 * 256 + 162 = 2978
        colours[12:15, 4:9] = (10, 7, 1) if place == 0 else 0
        save(folder / f"ADE_{place}_seg.png", colours)
        save(folder / f"ADE_{place}_parts_1.png", colours)
        save(folder / f"ADE_{place}/instance_000.png", colours[..., 0])
        objects = [{"name": "wall", "name_ndx": 2978}, {"name": "sky"}, "odd"]
        text(folder / f"ADE_{place}.json", {"annotation": {"object": objects}})
    save(folder / "ADE_99_seg.png", np.zeros((*SIZE, 3), np.uint8))
    text(folder / "ADE_99.json", {"annotation": {"object": []}})
    text(root / "objects.txt", "wall")
    return 18


READERS: dict[str, Write] = {
    "mask files": mask_files,
    "splits": splits,
    "objects": objects,
    "classes": classes,
    "one folder": one_folder,
    "arrays": arrays,
    "good parts": good_parts,
    "VOC": voc,
    "a CSV": csv_list,
    "text lists": text_lists,
    "COCO": coco,
    "COCO panoptic": panoptic,
    "labelme": labelme,
    "YOLO": yolo,
    "VIA": via,
    "Label Studio": label_studio,
    "CVAT": cvat,
    "Supervisely": supervisely,
    "labelme folders": labelme_folders,
    "ADE20K": ade20k,
}
FORMAT_OF = {
    "VOC": "voc",
    "a CSV": "list",
    "COCO": "coco",
    "COCO panoptic": "coco-panoptic",
    "labelme": "labelme",
    "YOLO": "yolo",
    "VIA": "via",
    "Label Studio": "label-studio",
    "CVAT": "cvat",
    "Supervisely": "supervisely",
    "labelme folders": "labelme-folders",
    "ADE20K": "ade20k",
}
"""What `format` in dataset.yaml calls them."""
