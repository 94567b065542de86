"""Training by cluster discrimination: a margin softmax of an encoder's vectors against clusters.

    margin       CosFace, ArcFace, ArcFace as published
    multi_label  the loss of MLCD over several labels a sample
    sampling     partial classes (r1) and partial features (r2)
    negatives    the sum over all other classes, block by block
    centres      the class centres and the loss of one batch
    row_adam     the optimiser of the centres: a class that was not drawn rests
    schedule     order of samples, learning rate, optimiser
    checkpoint   snapshots from which a killed training goes on exactly
    loop         the one loop
    adapt        a residual adapter on cached vectors
    finetune     the image tower itself
    controls     labels that clusters must beat: species, and chance

Nothing is imported here: name the module you want.
"""
