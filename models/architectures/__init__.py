"""The architectures: one decoder per file, with its paper."""
