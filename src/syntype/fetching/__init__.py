"""Files from elsewhere: the only code that opens a connection, beside the hubs' own libraries.

    wanted      a file to have: address, place, size, hash
    transfer    one attempt at one file: resumed, checked, atomic
    hosts       when which host may be asked again
    ledger      what is here already, and what would not come
    fetch       many files at once
    archives    archives unpacked, whole or not at all
    hub         the files of a repository of the Hugging Face hub, at one commit
    paging      answers that come in pages
    gbif_api    occurrences of GBIF
    idigbio_api specimens of iDigBio
    media       the media of a catalogue's rows
    sources     published sets by name

Nothing is imported here: name the module you want.
"""
