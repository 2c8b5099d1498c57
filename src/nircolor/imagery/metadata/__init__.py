"""Metadata of an image: in the file, in files beside it, and what its colour image takes over."""
