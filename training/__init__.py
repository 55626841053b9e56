"""Training: a folder of images and masks in, a bundle out."""
