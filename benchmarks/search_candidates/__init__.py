"""What `search_engines.py` and `search_load.py` share: the synthetic collection and the engines."""
