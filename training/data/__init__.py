"""Data sets: a folder of images and masks in, samples for training out.

The rooms, each importing only those above it:

    files     one walk of the folder, and one way to read people's text files
    records   what is known of a data set: samples, codes, encodings, findings, problems
    drawing   shapes to pixels: the painter of all formats
    masks     mask files to codes, codes to class ids and names
    shapes    masks that are stored as shapes: COCO, YOLO, labelme …
    joins     masks that are several files for each image, one a class or an object
    find      the images, masks and splits in a folder; dataset.yaml
    scan      the facts of all files, read in parallel or kept from an earlier inspection
    check     what is wrong with the files, the reports of an inspection
    feed      samples for the loaders: decoding, caching, cropping
    choice    which of several readings of a folder is meant
    account   what became of every file of a folder
    collect   from a folder to its findings: find, then scan, then settle classes and splits
    opening   inspect a folder, or open it for training

Records and rooms know nothing of the orchestrators `choice`, `collect` and `opening`; `feed` knows
nothing of the checks.
"""
