"""Batch prediction on a Ray cluster, for `maskzoo predict --ray`; apart from the server's modules.

Only `run` imports ray. Paths travel to the workers and no pixels: a worker reads, segments and
writes an image by itself, with `models.inference.folder`, so files are those of the plain command.

    outcome, sources, targets     records; where images come from; where masks go
    failures                      the list of what failed
    pool                          how many workers, and what each has of the cluster
    worker                        one image after another, in a process of the cluster
    run                           the cluster, its actors, and the images of those that died
"""
