"""The core: describe, build, store, load and run segmentation networks.

A room imports only rooms above it, and those on its own line that do not import it back:

    errors, files, memory         what every room needs
    machine                       cores, GPUs and memory that a process may use
    builtin_labels, labels        names and colours of the classes
    spec, options, preprocessing  a network, its options and its input, as data
    weights                       trained weights of encoders: read, renamed, found
    network                       encoder, decoder, classifier and the layers they are made of
    plugins                       mechanisms such as attention, one a file
    architectures, sites          decoders, one a file; the places of a network for plug-ins
    tables                        the table of architectures, and that of plug-ins
    registry                      the functions that list both tables and build from them
    bundles, catalogue            trained networks as folders; what the tables hold, for a person
    imports                       trained networks of other libraries, as bundles
    images                        files to pixels, label maps to drawings
    engines                       what computes the logits: torch, OpenVINO, ONNX Runtime
    inference                     images to label maps, whole or in tiles
    export                        networks for other engines
"""
