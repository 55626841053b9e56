"""The catalogue: papers, options and cost of architectures and plug-ins."""
