"""Bands of a file: wavelengths and names from metadata, sensors, pages or the user."""
