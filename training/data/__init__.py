"""Finding, reading and describing data sets of images and masks."""
