"""Write images: colour like an input, reflectance bands, images in memory."""
