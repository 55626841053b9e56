"""Loggers of a run, besides log.jsonl: a CSV table, TensorBoard, experiment trackers."""
