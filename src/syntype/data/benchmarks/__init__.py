"""Readers of published benchmarks, each in the layout that its archives unpack to.

One module is one benchmark and has one silhouette: a docstring with the layout, a function `read`
that makes `found.Found` of a folder, and the constant `BENCHMARK` with its page, terms, size and
reader. `registry.BENCHMARKS` lists them, `read.read_benchmark` turns a folder into a dataset.
Nothing is downloaded: most of these sets ask for their terms to be accepted first, so an error
says where to get them and how to lay them out.
"""
