"""Label maps as shapes: runs of equal ids, COCO run lengths, polygons, planes of one class."""
