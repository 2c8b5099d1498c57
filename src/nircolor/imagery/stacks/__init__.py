"""Stacks: one image out of several files of one band each, such as a Sentinel-2 product."""
