"""Formats that are known by name and not read, with the export that works."""

from __future__ import annotations

import re
from pathlib import Path

from maskzoo.training.data.files.listing import Listing

_HEAD = 1 << 16  # bytes that tell a format
_MOST_FILES = 40  # looked into
_CONTENT: tuple[tuple[str, re.Pattern[bytes], str], ...] = (
    (
        "COCO's panoptic json without its PNG files",
        re.compile(rb'"segments_info"'),
        "put their folder, which has the name of the json, beside it; the images belong there too",
    ),
    (
        "BDD100K's label json",
        re.compile(rb'"poly2d"'),
        "download its 'Semantic Segmentation' masks (labels/sem_seg/masks), or make them with "
        "`python -m bdd100k.label.to_mask -m sem_seg`",
    ),
    (
        "Cityscapes' polygon json",
        re.compile(rb'"imgHeight"'),
        "take the *_labelIds.png of gtFine, or make them with cityscapesScripts "
        "(csCreateTrainIdLabelImgs)",
    ),
    (
        "Mapillary Vistas' polygon json",
        re.compile(rb'"polygon"[\s\S]*"label":\s*"[a-z]+--|"label":\s*"[a-z]+--'),
        "take the PNG files in its folder v2.0/labels (or v1.2/labels)",
    ),
    (
        "a VIA 3 project",
        re.compile(rb'"vid_list"|"via_pid"|"project"\s*:\s*\{\s*"pid"'),
        "annotate with VIA 2 or export it as COCO",
    ),
    (
        "V7's Darwin json",
        re.compile(rb'"dataset_id"[\s\S]*"paths"|"slots"\s*:|darwin'),
        "export it from V7 as COCO, or as semantic masks",
    ),
    (
        "Datumaro's json",
        re.compile(rb'"items"\s*:[\s\S]*"annotations"|"dm_format_version"'),
        "convert it with `datum convert -f coco_instances`",
    ),
    (
        "Labelbox' export",
        re.compile(rb'"data_row"|"Labeled Data"'),
        "export its masks as PNG files, or convert it to COCO",
    ),
    (
        "PASCAL VOC's xml of boxes",
        re.compile(rb"<bndbox>"),
        "boxes are labels for object detection; masks lie in SegmentationClass, or export the "
        "outlines as COCO",
    ),
    (
        "COCO captions or keypoints",
        re.compile(rb'"caption"\s*:|"keypoints"\s*:'),
        "take instances_*.json, which holds the outlines",
    ),
)
_SLICES = (
    "write their slices out as TIFF and PNG files, with the lines under 'Volumes' in "
    "docs/training.md"
)
_IMAGES = (
    "write the images out as TIFF files, `tifffile.imwrite('x.tif', array, "
    "photometric='minisblack', planarconfig='contig')` for an array (H, W, bands); masks of the "
    "same names may stay as they are"
)
_CONVERT = (
    "save them as PNG, without loss: `from PIL import Image`, then "
    "`Image.open('x{suffix}').save('x.png')`"
)
_UNPACK = "unpack it here, or give the folder of its files"
_RAW = "develop them into TIFF files, as `darktable-cli x{suffix} x.tif` does"
_RUNS = "write the runs out as PNG masks, with the lines under 'Run lengths' in docs/training.md"
_NUMBERS = (
    "save each table as a mask: `Image.fromarray(numpy.loadtxt('x.txt', int).astype('uint8')).save("
    "'x.png')` with `from PIL import Image`; -1 becomes 255, which is ignored"
)
_RUN_LENGTHS = re.compile(rb"^[^\n]*(?:EncodedPixels|rle|segmentation)[^\n]*\r?\n", re.IGNORECASE)
_CORNERS = re.compile(rb"^(?:-?\d+(?:\.\d+)?[ \t]+){8}[A-Za-z][\w-]*[ \t]+\d\s*$", re.MULTILINE)
_BRUSHES = re.compile(r"task-\d+-annotation-\d+-by-\d+-tag-.+\.png", re.IGNORECASE)
_SUFFIXES = {
    ".tfrecord": ("TFRecord files", "write the images and masks out as PNG files"),
    ".record": ("TFRecord files", "write the images and masks out as PNG files"),
    ".lmdb": ("an LMDB", "write the images and masks out as PNG files"),
    ".parquet": ("Parquet files", "write the images and masks out as PNG files"),
    ".nii": ("NIfTI volumes", _SLICES),
    ".nii.gz": ("NIfTI volumes", _SLICES),
    ".nrrd": ("NRRD volumes", _SLICES),
    ".mha": ("MetaImage volumes", _SLICES),
    ".dcm": (
        "DICOM files",
        "write each image out as a TIFF file: `pip install pydicom`, then "
        "`tifffile.imwrite('x.tif', pydicom.dcmread('x.dcm').pixel_array)`",
    ),
    ".h5": ("images in HDF5 files", _IMAGES),
    ".hdf5": ("images in HDF5 files", _IMAGES),
    ".mat": ("images in MATLAB's files", _IMAGES),
    ".npz": ("images in numpy's files", _IMAGES),
    ".npy": ("images in numpy's files", _IMAGES),
    ".jsonl": (
        "lines of json",
        "write the names of images and masks into a CSV with the columns image and mask",
    ),
    ".svg": ("SVG drawings", "draw them as PNG masks, one colour a class, without smoothed edges"),
    **dict.fromkeys(
        (".psd", ".xcf", ".kra"),
        ("layers of a paint program", "export the layer of the mask alone as PNG"),
    ),
    ".regions.txt": ("the regions of the Stanford background data set", _NUMBERS),
    ".shp": ("shapefiles", "burn them into masks with `gdal_rasterize`"),
    ".geojson": ("GeoJSON", "burn it into masks with `gdal_rasterize`"),
    **{
        suffix: (f"{name} images", _CONVERT.format(suffix=suffix))
        for suffix, name in {
            ".ppm": "PPM",
            ".pgm": "PGM",
            ".pbm": "PBM",
            ".pnm": "PNM",
            ".jp2": "JPEG 2000",
            ".avif": "AVIF",
            ".tga": "Targa",
        }.items()
    },
    ".heic": ("HEIC images", "save them as JPEG or PNG, as `heif-convert x.heic x.png` does"),
    **{
        suffix: ("raw photographs", _RAW.format(suffix=suffix))
        for suffix in (".dng", ".cr2", ".cr3", ".nef", ".arw")
    },
    **dict.fromkeys((".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z"), ("an archive", _UNPACK)),
    ".gz": ("packed files", "unpack them, as `gunzip -r FOLDER` does"),
}


def recognised(listing: Listing) -> str:
    """Return what a folder of an unknown layout holds and how to make it readable, or nothing."""
    files = [
        file for file in listing.all_files if file.suffix.lower() in (".json", ".xml", ".ndjson")
    ]
    for file in files[:_MOST_FILES]:
        head = _head(file)
        for name, pattern, cure in _CONTENT:
            if pattern.search(head):
                return f"{listing.relative(file)} is {name}, which cannot be read; {cure}"
    return _by_table_or_name(listing) or _by_suffix(listing)


def _by_table_or_name(listing: Listing) -> str:
    for file in listing.files(suffixes={".csv"})[:_MOST_FILES]:
        if _RUN_LENGTHS.match(_head(file)):
            return (
                f"{listing.relative(file)} holds run lengths, which maskzoo does not read; {_RUNS}"
            )
        if b"region_shape_attributes" in _head(file):
            return (
                f"{listing.relative(file)} is VIA's table, which maskzoo does not read; export the "
                "annotations from VIA as json"
            )
    for file in listing.files(suffixes={".txt"})[:_MOST_FILES]:
        if _CORNERS.search(_head(file)):
            return (
                f"{listing.relative(file)} holds the corners of boxes (DOTA), which say nothing of "
                "pixels; take masks, such as those of iSAID for the same images"
            )
    for file in listing.files(suffixes={".png"}):
        if _BRUSHES.fullmatch(file.name):
            return (
                f"{listing.relative(file)} is one of Label Studio's brush PNGs, whose names number "
                "tasks and say nothing of images; export the project as JSON, which holds both"
            )
    return ""


def _by_suffix(listing: Listing) -> str:
    for file in listing.all_files:
        for suffix, (name, cure) in _SUFFIXES.items():
            if file.name.lower().endswith(suffix):
                return (
                    f"it holds {name} ({listing.relative(file)}), which maskzoo does not read; "
                    f"{cure}"
                )
    return ""


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_HEAD)
