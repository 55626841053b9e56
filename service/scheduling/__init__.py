"""Scheduling: admission, queue, batches, shutdown."""
