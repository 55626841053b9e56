"""Masks stored as outlines: COCO json, YOLO text files, labelme json."""
