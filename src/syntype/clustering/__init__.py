"""Spherical k-means, the choice of its first centres and the quality of its clusters."""
