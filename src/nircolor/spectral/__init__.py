"""Hyperspectral captures to pairs of a near-infrared and a colour image."""
