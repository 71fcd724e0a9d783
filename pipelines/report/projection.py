"""Vectors laid out on a plane, so that what is alike lies together: t-SNE, by scikit-learn.

UMAP and PaCMAP would bring numba and LLVM; for the 2,000 points of a map t-SNE takes seconds.
"""

import numpy as np
import threadpoolctl
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

DIMENSIONS = 50
"""Left to t-SNE, as by van der Maaten, Accelerating t-SNE using Tree-Based Algorithms, 2014, section 5."""
PERPLEXITY = 30.0
FEWEST = 8
"""Vectors below which there are no neighbourhoods to keep, and the principal components are taken."""


def plane(vectors: np.ndarray) -> np.ndarray:
    """Lay out vectors: float [N, D] -> float64 [N, 2], the same for the same vectors.

    Args:
      vectors: of unit length, so that their distances rank as their cosines do.
    """
    found = np.zeros((len(vectors), 2))
    if len(vectors) < 2 or not np.ptp(vectors, axis=0).any():
        return found
    # One thread: several wait for each other in turns, which takes many times as long on a machine that has other work.
    with threadpoolctl.threadpool_limits(1):
        most = DIMENSIONS if len(vectors) >= FEWEST else 2
        parts = PCA(min(most, *vectors.shape), random_state=0).fit_transform(vectors)
        if len(vectors) >= FEWEST:
            perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
            start = "pca" if parts.shape[1] >= 2 else "random"
            parts = TSNE(perplexity=perplexity, init=start, random_state=0).fit_transform(parts)
    found[:, : parts.shape[1]] = parts
    return found
