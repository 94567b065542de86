"""Clusters of unit vectors: k-means, its first centres, its artefact, its quality.

The public names lie in the modules, as importing all of them would make each caller wait for torch
and scikit-learn: `kmeans` (kmeans, draw_seeds), `nearest` (assign), `within` (cluster_within),
`clusters` (cluster, from_kmeans, Clusters), `quality` (quality, leak_warning, joint_features) and
`ceiling` (perfect_labels).
"""
