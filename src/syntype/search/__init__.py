"""Search: an index of records with vectors, the questions it is asked, and its answers.

Import from the module that has what you need (`syntype.search.opening.open_index` ...): this
package itself imports nothing, so that it starts fast.
"""
