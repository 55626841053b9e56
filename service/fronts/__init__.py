"""Front processes: several processes that speak HTTP, and one that owns each device.

                       ┌─ front: HTTP, guards, decode, encode ─┐
    listening socket ──┼─ front                                ├── lines ── owner of cuda:0
                       └─ front ───────────────────────────────┘            owner of cuda:1
    supervisor: starts them all, replaces those that end, drains

A front runs the same application as a single process, with three parts that ask the owner: the
models (`remote.RemoteModels`), the admission with the network (`remote.RemoteDesk`), the rate
limits (`remote.RemoteRates`). Pixels go to the owner and label maps come back as shared memory
whose descriptors a Unix socket carries. Routes that gain nothing from a front (jobs, models, admin,
metrics, readiness) are answered by the owner's own application: `forward` carries the ASGI messages
of one request there and back.

A process that is killed takes along the requests in it and nothing else: the kernel closes its
lines, and with the line of a request goes what it held.

    line          messages with descriptors over a Unix socket
    faults        errors as messages
    page          the few numbers that all processes read
    forward       a request that another process answers
    owner         the owner's end
    remote        the front's end
    peers         one administration of all owners
    front         the application of a front
    run           the two kinds of process: `python -m maskzoo.service.fronts.run`
    supervisor    all of them together
"""
