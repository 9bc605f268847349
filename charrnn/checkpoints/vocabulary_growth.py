"""New characters for a trained model: rows and columns of weights beside those that it has learnt."""

from dataclasses import replace

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.network.cells import is_bias, parameter_shapes
from charrnn.text.vocabulary import Vocabulary

_MOST_NAMED = 8  # new characters spelled out in a note


def grow(checkpoint: Checkpoint, vocabulary: Vocabulary, seed: int) -> Checkpoint:
    """The model of a checkpoint for a larger vocabulary, which has all of its symbols, in any order; weights only.

    Known characters keep their weights.  Each new one is drawn as if it were one of them: its rows and columns of
    weights (an LSTM has a row of ``embedding`` or ``w_ih_l0`` and a column of ``w_out``) are normal, with the known
    ones' mean and deviation, place by place; its bias is the mean of theirs.

    So while a text has no new characters the states and the logits of known characters are the same bits as before, and
    their probabilities have the same ratios; the loss of a character rises by -ln(1 - q), where q is what the new
    ones are given together, of n beside V about n/(V + n) by a model that knows nothing and less by one that does.

    docs/MODEL.md says what other first weights gave.

    Args:
        checkpoint: the model as it was trained; its optimiser and state are left out.
        vocabulary: the symbols to be.
        seed: of what is drawn.

    Raises:
        VocabularyError: ``vocabulary`` lacks a symbol of the checkpoint.
    """
    symbols = checkpoint.vocabulary.to_list()
    places = vocabulary.encode(bytes(symbols) if checkpoint.vocabulary.is_bytes else "".join(symbols))
    new = np.setdiff1d(np.arange(len(vocabulary)), places)
    model = replace(checkpoint.model, vocabulary=len(vocabulary))
    generator = np.random.default_rng(seed)
    parameters = dict(checkpoint.parameters)
    one_more = parameter_shapes(replace(model, vocabulary=len(vocabulary) + 1))
    for name, shape in parameter_shapes(model).items():
        if shape == one_more[name]:
            continue  # the vocabulary does not matter
        before, grown = parameters[name], np.empty(shape, np.float32)
        # Views in which every entry of the first axis is of one character.
        axis = next(axis for axis, size in enumerate(shape) if size != one_more[name][axis])
        to, known = np.moveaxis(grown, axis, 0), np.moveaxis(before, axis, 0)
        to[places] = known
        mean, deviation = known.mean(axis=0, dtype=np.float64), known.std(axis=0, dtype=np.float64)
        to[new] = mean + (0 if is_bias(name) else deviation * generator.standard_normal((len(new), *mean.shape)))
        parameters[name] = grown
    return replace(checkpoint, model=model, vocabulary=vocabulary, parameters=parameters, optimizer={}, state=None)


def describe_growth(before: Vocabulary, after: Vocabulary) -> str:
    """One line for the user: which characters, or bytes, a model has got."""
    kind = "byte" if after.is_bytes else "character"
    new = [index for index, symbol in enumerate(after.symbols) if symbol not in before]
    if not new:
        return f"no new {kind}s: the model knows all {len(after):,} already"
    named = ", ".join(after.name(index) for index in new[:_MOST_NAMED])
    if len(new) > _MOST_NAMED:
        named += f" and {len(new) - _MOST_NAMED:,} more"
    return f"{len(new):,} new {kind}{'s' * (len(new) > 1)} beside the {len(before):,} that the model knows: {named}"
