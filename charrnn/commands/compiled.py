"""The kernels that commands need. A command compiles all of them together, before its work begins.

Kernels that read a text are always needed, and are not here. Each function takes the options of a command and the
checkpoint that it has loaded.
"""

from collections.abc import Callable, Mapping
from typing import Any

Kernels = Callable[[Mapping[str, Any], Any], list]


def writing(options: Mapping[str, Any], checkpoint) -> list:
    """To write text."""
    from charrnn.inference.sampler import kernels

    return kernels(checkpoint.model)


def coding(options: Mapping[str, Any], checkpoint) -> list:
    """To compress and to decompress."""
    from charrnn.inference.row_coder import kernels

    return kernels(checkpoint.model)


def coding_with_ngrams(options: Mapping[str, Any], checkpoint) -> list:
    """For n-grams that learn a file while it is compressed."""
    from charrnn.inference.online_ngrams import kernels

    return kernels


def writing_samples(options: Mapping[str, Any], checkpoint) -> list:
    """To write as many samples as ``--samples`` says."""
    return writing(options, checkpoint) if options["samples"] else []


def mixing(options: Mapping[str, Any], checkpoint) -> list:
    """For n-grams beside the network, unless ``--ngrams`` leaves them out."""
    from charrnn.inference.ngrams import KERNELS

    return [] if checkpoint.ngrams is None or options["ngrams"] == "off" else list(KERNELS)


def mixing_if_asked(options: Mapping[str, Any], checkpoint) -> list:
    """For n-grams beside the network, if ``--ngrams`` asks for them."""
    return mixing(options, checkpoint) if options["ngrams"] == "on" else []


def learning_on(options: Mapping[str, Any], checkpoint) -> list:
    """To learn on while a text is scored."""
    from charrnn.training.dynamic_evaluation import kernels

    return kernels(checkpoint.model)


def searching(options: Mapping[str, Any], checkpoint) -> list:
    """To find the cells that track something."""
    from charrnn.inspection.search import KERNELS

    return list(KERNELS)


def naming(options: Mapping[str, Any], checkpoint) -> list:
    """To name cells by what they track, if the command does so."""
    return searching(options, checkpoint) if options.get("names") else []


def finding_copies(options: Mapping[str, Any], checkpoint) -> list:
    """To find what a model has copied."""
    from charrnn.analysis.novelty import KERNELS

    return list(KERNELS)
