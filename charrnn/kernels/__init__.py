"""The numerical core: plain arrays in, plain arrays out, compiled by Numba. No I/O, no classes, no exceptions."""
