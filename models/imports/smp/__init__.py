"""Models that segmentation-models-pytorch saved: arguments, tensors, and DPT apart."""
