"""The loss of MLCD (An et al. 2024, eq. 5): several positive classes a sample.

Legend: n samples, l labels a sample, m classes in the loss.

    L = log(1 + sum_{i in P} exp(-s_i)) + log(1 + sum_{j in N'} exp(s_j))

where s = scale x cosine, with the margin on the positives only. The formula of the paper names
neither scale nor margin; its appendix and its successor RICE use 64 and 0.3. The code of this loss
was never released; this is the formula.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def mlcd_loss(
    positives: Float[Tensor, "n l"], negatives: Float[Tensor, "n m"]
) -> Float[Tensor, "n"]:
    """The loss of each sample.

    Args:
        positives: s_i, scaled and with the margin; +inf where a sample has fewer than l labels.
        negatives: s_j, scaled; -inf for what is no negative of that sample (its own positives,
            classes that were not drawn or were filtered).
    """
    # The 0 that is put in front is the 1 inside the logarithm.
    pull = torch.logsumexp(functional.pad(-positives, (1, 0)), dim=1)
    push = torch.logsumexp(functional.pad(negatives, (1, 0)), dim=1)
    return pull + push
