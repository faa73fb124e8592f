"""Folding, segmentation, names and figures: what is known about text itself."""
