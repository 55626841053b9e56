"""Finding images, masks and splits in a folder."""
