"""Readers of published sets of observations; `syntype.data.observations_published` lists them."""
