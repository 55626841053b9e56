"""The service: bundles in, masks over HTTP out. Start with `service.app.create_app`.

A line imports only what stands above it, and its own neighbours where they do not import it back:

    errors, settings, schemas     what everybody needs
    problems, openapi             errors as documents
    bundles                       which models there are, which are loaded
    inputs                        what a request brings
    scheduling                    who enters, who waits, what the network sees together
    responses                     a label map in the form that was asked for
    observability                 logs, metrics, traces
    guards                        headers and sizes, keys, rates
    jobs                          huge images: records, files, the runner
    state, pipeline, several      the services of one app; one image's way through them
    adapters                      other people's protocols
    routes                        the addresses
    app                           all of it together
    doctor                        `maskzoo doctor`

`client` stands apart: it talks to a service from outside and knows none of these.
"""
