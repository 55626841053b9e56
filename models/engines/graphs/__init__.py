"""The engine `cuda-graphs`: a network that a GPU runs by one launch for each batch."""
