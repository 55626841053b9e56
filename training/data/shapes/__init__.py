"""Masks that are stored as outlines: COCO json, YOLO text files, labelme json."""
