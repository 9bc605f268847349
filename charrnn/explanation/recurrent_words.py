"""What each value of a recurrent step is called, and how it and its gradient are computed: words beside the numbers."""

from typing import NamedTuple


class Gate(NamedTuple):
    """A gate's name, its activation, and what it decides."""

    title: str
    activation: str
    meaning: str


class Result(NamedTuple):
    """A value that is made of gates and of the state: its equation, and what it is for."""

    name: str
    equation: str
    meaning: str


class Words(NamedTuple):
    """The words of a cell: what it is, its gates, its results in order, and the gradient of each value."""

    summary: str
    gates: dict[str, Gate]
    results: tuple[Result, ...]
    gradients: dict[str, str]
    before: tuple[str, ...]


LSTM = Words(
    "An LSTM has two states: c remembers, h is what others see. Three gates between 0 and 1 decide what happens to c.",
    {
        "i": Gate("input gate i", "σ", "How much of the candidate g is added to c."),
        "f": Gate("forget gate f", "σ", "How much of the old c′ stays."),
        "g": Gate("candidate g", "tanh", "What could be added to c."),
        "o": Gate("output gate o", "σ", "How much of c is shown."),
    },
    (
        Result("c", "c = f ⊙ c′ + i ⊙ g", "What the unit remembers."),
        Result("tanh_c", "tanh(c)", "c, squeezed into -1 to 1."),
        Result("h", "h = o ⊙ tanh(c)", "What the unit tells the logits and the next step."),
    ),
    {
        "o": "dL/do = dL/dh ⊙ tanh(c)",
        "tanh_c": "dL/dtanh(c) = dL/dh ⊙ o",
        "c": "dL/dc = dL/dtanh(c) ⊙ (1 - tanh²(c)) + dL/dc from the next step, which is its dL/dc ⊙ its f",
        "f": "dL/df = dL/dc ⊙ c′",
        "i": "dL/di = dL/dc ⊙ g",
        "g": "dL/dg = dL/dc ⊙ i",
    },
    (
        "dL/dh′ is W_hh dL/d(sum), added up over the gates",
        "dL/dc′ = dL/dc ⊙ f: where f is near 1, the gradient reaches far back",
    ),
)

CAPPED_LSTM = LSTM._replace(
    summary="A capped LSTM is an LSTM whose input gate is at most 1 - f: so c stays between -1 and 1.",
    results=(
        Result("least", "min(i, 1 - f)", "The input gate as it is used: at most the share that f does not keep."),
        Result("c", "c = f ⊙ c′ + min(i, 1 - f) ⊙ g", "What the unit remembers."),
        *LSTM.results[1:],
    ),
    gradients=LSTM.gradients
    | {
        "least": "dL/dmin(i, 1 - f) = dL/dc ⊙ g",
        "f": "dL/df = dL/dc ⊙ c′; where i is above 1 - f, less dL/dmin(i, 1 - f)",
        "i": "dL/di = dL/dmin(i, 1 - f); where i is above 1 - f, 0 (a finite difference across that place is neither)",
        "g": "dL/dg = dL/dc ⊙ min(i, 1 - f)",
    },
)

COUPLED_LSTM = LSTM._replace(
    summary="An LSTM with coupled gates has no input gate of its own: i is 1 - f, so c stays between -1 and 1.",
    gates={name: gate for name, gate in LSTM.gates.items() if name != "i"},
    results=(Result("i", "i = 1 - f", "How much of the candidate g is added to c: what f leaves."), *LSTM.results),
    gradients=LSTM.gradients | {"f": "dL/df = dL/dc ⊙ c′ - dL/di"},
)

GRU = Words(
    "A GRU has one state h. The gate z says how much of the old h′ stays; the candidate n replaces the rest.",
    {
        "r": Gate("reset gate r", "σ", "How much of the old state the candidate sees."),
        "z": Gate("update gate z", "σ", "How much of the old h′ stays."),
        "n": Gate("candidate n", "tanh", "What replaces the part of h′ that does not stay."),
    },
    (Result("h", "h = (1 - z) ⊙ n + z ⊙ h′", "What the unit remembers, and tells the logits and the next step."),),
    {
        "z": "dL/dz = dL/dh ⊙ (h′ - n)",
        "n": "dL/dn = dL/dh ⊙ (1 - z)",
        "s": "dL/ds = dL/d(sum of n) ⊙ r",
        "r": "dL/dr = dL/d(sum of n) ⊙ s",
    },
    (
        "dL/dh′ = dL/dh ⊙ z + W_hh dL/ds + W_hh dL/d(sum) of both gates",
        "Where z is near 1, the gradient reaches far back.",
    ),
)

RNN = Words(
    "A plain RNN has one state h, which is made anew in every step from the input and the old h′.",
    {"h": Gate("state h", "tanh", "What the unit remembers, and tells the logits and the next step.")},
    (),
    {},
    ("dL/dh′ = W_hh dL/d(sum): it passes through a matrix and tanh in every step, and so grows or shrinks",),
)

WORDS = {"lstm": LSTM, "capped-lstm": CAPPED_LSTM, "coupled-lstm": COUPLED_LSTM, "gru": GRU, "rnn": RNN}
NAMES = {"tanh_c": "tanh(c)", "least": "min(i, 1 - f)"}  # of values, where letters are not enough
SLOPES = {"σ": "{0} ⊙ (1 - {0})", "tanh": "(1 - {0}²)"}
