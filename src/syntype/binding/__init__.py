"""Six senses in one space, with the picture as binder: losses, training, patching, fusion.

    losses      what a batch of pictures and another sense are pulled by, each published form
    objective   the same as an objective of the training loop, with its temperatures
    material    rows of observations as the tensors of one sense, and random places beside them
    bind        locked and unlocked tuning
    patching    between the weights before a training and after it
    scoring     what a choice on the selection split is made by
    fusion      several senses of one observation as one vector
    experts     the same as one probability for each class
    space       a finished space as a folder
    stages      the steps from observations to spaces, each a run

Nothing is imported here: name the module you want. docs/reference/binding.md is the page.
"""
