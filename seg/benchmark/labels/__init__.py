"""Comparison of supervised and semi-supervised training at several shares of labelled scenes."""
