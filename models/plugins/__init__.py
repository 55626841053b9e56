"""The plug-ins: one mechanism per file, with its paper."""
