"""Where plug-ins go in a network, and how they are attached."""
