"""Rasters of bands: GDAL's tags, and the scaling of bands to a network's pixels."""
