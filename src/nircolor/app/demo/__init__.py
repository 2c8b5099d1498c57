"""The demo's input, a landscape rendered from reflectance spectra, and the page that shows what came out."""
