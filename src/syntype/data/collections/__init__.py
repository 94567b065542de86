"""Sets too large to hold: read into a catalogue, batch by batch.

    collection          what a set is, and what its reader is asked for
    registry, read      all of them, and reading one by its name
    lookup              rows found by a name, in any number, on the disk
    media               pictures by name, wherever they lie: folders, tars, zips
    delimited, parquet_rows         tables, streamed
    published_names     how TreeOfLife-10M cleans names
    tree_of_life_10m, tree_of_life_media, tree_of_life_licenses     a set of three sources
    tree_of_life_200m, bioscan_1m, biotrove
    download_plan       what fetching a catalogue's addresses would take

Nothing here opens a connection.
"""
