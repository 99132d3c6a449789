"""Prediction and other work on the processes of a dask cluster; the only part of the project that imports dask."""
