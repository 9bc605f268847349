"""``charrnn inspect because``: which characters made a prediction, and through which cells."""

import click

from charrnn.commands.help import option, section
from charrnn.commands.inspect.inspection import Inspection, inspecting
from charrnn.commands.types import Whole

_LENGTH, _CELLS = 64, 5


@inspecting(
    section(
        "The prediction",
        option(
            "--at", type=Whole(1), help="Explain the prediction of the character at this place.  [default: the end]"
        ),
        option(
            "--length", type=Whole(1, 500), default=_LENGTH,
            help="Characters before it that the model reads, from an empty state.",
        ),
        option(
            "--next", "target", metavar="CHARACTER",
            help="Explain the score of this character.  [default: the one at --at; at the end the likeliest]",
        ),
        option("--cells", type=Whole(0, 50), default=_CELLS, help="Cells of the top layer to list."),
    ),
)  # fmt: skip
def because(work: Inspection) -> None:
    """Explain a prediction of the model in CHECKPOINT: what each character before it contributed, for or against, and
    through which cells.

    The contributions add up to the score of the predicted character, its logit minus the mean of all logits, minus the
    score after a text that says nothing (integrated gradients).

    \b
    charrnn inspect because fables --text "The fox said to the"
    charrnn inspect because fables --at 2000 --cells 10

    \f

    The text that says nothing has the mean of all characters in each place. The cells of the top layer add up to the
    score, too; of a Transformer these are the columns of the stream behind the last norm.

    --json writes one object: at, text (what is read), next (the character), probability, score, score_of_nothing,
    contributions (one for each character of text), cells: cell, contribution, and contributions; and likeliest:
    character and probability.
    """
    import numpy as np

    from charrnn.display.reports.because import because_lines
    from charrnn.errors import ConfigError
    from charrnn.explanation.attribution import Attributor
    from charrnn.inference.ensemble import Ensemble

    options = work.options
    model, ids = work.open()
    if isinstance(model.network, Ensemble):
        raise ConfigError("an ensemble is not explained as a whole: look into its models one by one")
    at = len(ids) if options["at"] is None else options["at"]
    if not 0 < at <= len(ids):
        raise ConfigError(f"--at {at:,}: the text has {len(ids):,} characters")
    attributor = Attributor(model.network.config, dict(model.network.parameters.items()))
    read = ids[max(at - options["length"], 0) : at]
    if options["target"] is not None:
        given = model.encode(work.typed(options["target"]))
        if len(given) != 1:
            raise click.BadParameter(f"{options['target']!r} is not one character.", param_hint="--next")
        target = int(given[0])
    else:
        target = int(ids[at]) if at < len(ids) else int(np.argmax(attributor.scores(read)))
    with work.bar("Explaining") as progress:
        found = attributor.attribute(read, target, options["cells"], progress)
    layer, vocabulary = model.network.config.layers - 1, model.vocabulary
    likeliest = np.argsort(-found.probabilities, kind="stable")[:5]
    record = {
        "at": at,
        "text": vocabulary.characters(read),
        "next": vocabulary.characters([target]),
        "probability": float(found.probabilities[target]),
        "score": found.score,
        "score_of_nothing": found.score_of_nothing,
        "contributions": found.contributions.tolist(),
        "cells": [
            {"cell": f"{layer}:{cell}", "contribution": float(found.by_cell[cell]), "contributions": through.tolist()}
            for cell, through in zip(found.cells.tolist(), found.through, strict=True)
        ],
        "likeliest": [
            {"character": vocabulary.characters([each]), "probability": float(found.probabilities[each])}
            for each in likeliest
        ],
    }
    work.show([record], because_lines(record, work.terminal.look()))
