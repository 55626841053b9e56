"""Where records of a run go besides log.jsonl: a table, TensorBoard, services that track."""
