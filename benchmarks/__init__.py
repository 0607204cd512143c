"""Measures the program beside its floors and its peers; see README.md in this folder."""
