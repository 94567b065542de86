"""Curation: which rows of a catalogue are no use, are copies of others, or are too many of a kind.

`curate` is the verb. It measures every medium once (`measuring`, `memory`), decides rule by rule
(`rules`, `greedy`, `caps`, `bursts`), and writes what stays, what goes, and why (`writing`).
"""
