"""Museum and occurrence records: what was found where and when, and which media show it.

    terms         words of Darwin Core, Audiovisual Core and Dublin Core, and what they hold
    licences      licences in one short form
    places        coordinates, checked
    rows          a record and its media as rows of a catalogue
    sources       folders and zips, read where they lie
    delimited     delimited text as it is found in the wild
    store         tables on the disk that records are joined by
    description   meta.xml and eml.xml
    archive       Darwin Core Archives, those of GBIF and iDigBio too
    data_package  Darwin Core Data Packages
    gbif          simple downloads and saved answers of GBIF
    idigbio       saved answers of iDigBio
    load          any of these, recognised

A record may have many media, and a medium belongs to a record by an identifier, never by its place
in a list. Nothing here opens a connection.
"""
