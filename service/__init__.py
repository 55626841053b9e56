"""The service: bundles in, masks over HTTP out. Start with `service.app.create_app`.

A room imports only rooms above it, and those on its own line that do not import it back:

    errors, settings, schemas     what every room needs
    machine                       defaults by cores and device
    problems, openapi             errors as documents, and the OpenAPI document
    bundles                       the models: discovery, loading, names
    inputs                        the bodies of requests: images and options
    decoding                      untrusted files in processes with limits
    shapes                        label maps as runs, polygons, planes of one class
    scheduling                    admission, the queue, batches, shutdown, the heap
    responses                     a label map in the format that was asked for
    observability                 logs, metrics, traces
    guards                        request ids and headers, keys, rates, bodies, answers
    answering                     an image's order, its segmentation, its answer
    jobs                          huge images: records, files, the runner
    state                         the services of one app
    adapters                      the protocols of other servers
    routes                        the paths of the API
    assembly                      an application from its services: routes and layers
    app                           the application factory
    server                        the HTTP server around it
    fronts                        several processes: those that speak HTTP, owners of devices
    replicas                      several machines: replicas on Ray Serve
    ray_app                       their application, as Ray's own tools deploy it
    doctor                        `maskzoo doctor`

Two rooms stand apart and import none of these: `client` talks to a service over HTTP, and `batch`
segments millions of files on a Ray cluster.
"""
