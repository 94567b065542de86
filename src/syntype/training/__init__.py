"""Training of encoders: against clusters by a margin softmax, or against words.

    objective       what vectors are pulled towards: the loop's only view of a loss
    discrimination  against classes: clusters, species, labels at random
      margin        CosFace, ArcFace, ArcFace as published
      multi_label   the loss of MLCD over several labels a sample
      sampling      partial classes (r1) and partial features (r2)
      negatives     the sum over all other classes, block by block
      centres       the class centres and the loss of one batch
      row_adam      the optimiser of the centres: a class that was not drawn rests
    pairing         against words: both towers as one module
      contrast      the losses of CLIP and SigLIP
    loop            the one loop
      schedule      order of samples, learning rate
      checkpoint    snapshots from which a killed training goes on exactly
      pausing       a request to save and stop
      tracking      metrics, step by step
      footprint     memory, counted before, and when it runs out
    tower           the module that is trained: alone, DDP, FSDP2
      parallel      several processes that train one encoder
      tuning        which weights learn, how fast, at what price
    feeding         pictures, read and changed ahead of the device
      augment       their random changes
    adapt           a residual adapter on cached vectors
    finetune        the image tower itself
    rounds          train, cluster anew, train on
    controls        labels that clusters must beat: species, and chance

Nothing is imported here: name the module you want.
"""
