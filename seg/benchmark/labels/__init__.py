"""Supervised against semi-supervised training at shares of labelled scenes."""
