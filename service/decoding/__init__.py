"""Decoding of untrusted files where it can be stopped: in processes with limits."""
