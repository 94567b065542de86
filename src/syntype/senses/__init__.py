"""The other senses of ecology beside pictures and words: place, climate, sound, satellite.

    sense, load     what turns the input of one sense into unit vectors, and how it is named
    place_geoclip, place_satclip, climate, rasters          places, and what a raster says of them
    waves, mel, sound_clap, sound_small, sound_descriptors  sounds
    satellite, tiles                                        tiles, and where they come from

Nothing is imported here: name the module you want.
"""
