"""The files of a data set: one walk of the folder, and one way to read text."""
