"""Values of a file: their scale, and whether they are reflectance."""
