"""Pixels that are invalid: nodata values, declared or not, and padding."""
