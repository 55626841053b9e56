"""One optimisation step: loss, gradients, memory, learning rate."""
