"""Groups of lanes: whose rows lie together, the incoming states first, then those of one step after the other.

:class:`charrnn.layout.Layout` has the whole of it.
"""

from numba import njit


@njit
def first_row(first, steps):
    """The first row of the group that begins with lane ``first``: each lane before has one a step and one more."""
    return first * (steps + 1)
