"""Class lists that came with the data, and the names that they give."""
