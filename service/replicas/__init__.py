"""Replicas on Ray Serve: the application of one machine, on many.

    clients ── HAProxy of each node ──┬─ replica: HTTP, guards, decode, network, encode
                                      ├─ replica
                                      └─ replica on another node
    controller: starts replicas, counts queued seconds, replaces what fails

A replica is what one process of `maskzoo serve` is, so an image never travels between processes:
a replica has one GPU or some cores, its own queue and its own models.

    options       what an operator chooses, and Ray's options that follow from it
    policy        how many replicas there should be: by queued seconds
    proxies       the environment of Ray's proxies
    edge          what Ray's own HTTP layer needs of ours
    replica       one replica
    cluster       start or find Ray, and deploy
"""
