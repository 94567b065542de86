"""The other senses of ecology beside pictures and words: place, climate, sound, satellite.

    sense       what turns the input of one sense into unit vectors, and says which it is exactly

Nothing is imported here: name the module you want.
"""
