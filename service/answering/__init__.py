"""Answering of images: the order, the segmentation, and its postprocessing."""
