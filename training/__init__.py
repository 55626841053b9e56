"""Training: a folder of images and masks in, a bundle out. Start with `training.run.fit.train`.

A line imports only what stands above it, and its own neighbours where they do not import it back:

    config                what a person may set, and what a run is when all of it is decided
    loggers               the terminal, log.jsonl, TensorBoard, trackers
    losses, augment       the objective; what happens to a sample
    data                  images and masks: found, understood, checked, fed
    starts                weights that a run starts with, what is new, what is frozen
    steps                 one optimizer step after another
    planning              every value that was left open, decided with its reason
    scoring               how good a network is
    report                the same for a person: tables, charts, one page
    run                   a run from its folder to its bundle
    race                  many runs against the clock
"""
