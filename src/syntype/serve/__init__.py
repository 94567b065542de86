"""The search over HTTP: one FastAPI application, one process, the index in memory once.

    app          the application, put together
    desk         what every request works with: index, asker, pools, counts
    parameters   what may be asked: names, kinds, bounds; the API's description is made of it
    asked        a request to a question and its conditions
    uploads      bodies, read as they come, within limits
    routes       search, records, facets, taxa, map, timeline, suggestions, health, about
    media        originals and small pictures
    thumbnails   how small pictures are made and kept
    writes       records put in and taken out, by key
    legacy       the predecessor's search form
    pages        the page, its parts and the API's own page
    replies      what is answered: models, and how it is sent
    problems     errors as problem+json
    guards       what stands before every request: logs, headers, limits
    limits       tokens by address, pools with a queue that ends
    metrics      counts for Prometheus
    running      uvicorn, until it is told to stop

The application opens no connection: no address that a record or a visitor names is fetched.
"""
