"""The core: describe, build, store, load and run segmentation networks."""
