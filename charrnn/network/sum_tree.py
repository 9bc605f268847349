"""The order in which the sums of several groups are added: a binary tree that depends on their number alone.

The groups are leaves, from left to right.  Walk along them with a stack: push the sum of a group, and as long as the
two sums on top cover equally many leaves, replace them by their sum.  At the end add up what is left, from the top
down.  For six groups this gives ((0 + 1) + (2 + 3)) + (4 + 5).

If n neighbouring groups belong to one computer, and n is a power of two, then their own tree is a subtree of the whole
one.  So the computers add up their groups, then the sums of the computers are added in the same way, and every bit is
the one that a single computer gets.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

Value = TypeVar("Value")


def merges(groups: int) -> list[int]:
    """After each of the groups, how many times the two sums on top of the stack are replaced by their sum."""
    counts = [(~number & (number + 1)).bit_length() - 1 for number in range(groups)]  # ones at the end of the number
    counts[-1] = (groups - 1).bit_count()
    return counts


def depth(groups: int) -> int:
    """The largest number of sums on the stack."""
    return groups.bit_length()


def tree_sum(values: Iterable[Value], groups: int, add: Callable[[Value, Value], Value]) -> Value:
    """The sum of ``groups`` values in the order of the tree; ``add(left, right)`` may change ``left`` and return it."""
    stack: list[Value] = []
    for value, count in zip(values, merges(groups), strict=True):
        stack.append(value)
        for _ in range(count):
            right = stack.pop()
            stack[-1] = add(stack[-1], right)
    return stack[0]
