"""Planning: every value that was "auto" is decided, with its reason."""
