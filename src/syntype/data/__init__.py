"""Samples: readers that make one table of any source, pictures' bytes, splits, duplicates.

Import from the module that has what you need (`syntype.data.load.load_dataset`,
`syntype.data.dataset.Dataset` ...): this package itself imports nothing, so that it starts fast.
"""
