"""``charrnn explain``: one step of a small network with every number."""

import click

from charrnn.commands.help import option, section
from charrnn.commands.options import given, json_option, quiet_option, seed_option
from charrnn.commands.types import CheckpointPath, OutputFile, Whole
from charrnn.commands.work import Work, command

_CELLS = ("lstm", "capped-lstm", "coupled-lstm", "gru", "rnn", "transformer")  # of charrnn.explanation.cells
_MOST_CHARACTERS, _UNITS, _MOST_UNITS, _SEED = 100, 4, 16, 1


class Steps(click.ParamType):
    """The number of a step, or ``all``."""

    name = "step"

    def get_metavar(self, param, ctx):
        """What stands for the value in a help."""
        return "N|all"

    def convert(self, value, param, ctx):
        """The number, or 0 for all steps."""
        return 0 if value == "all" else Whole(1, _MOST_CHARACTERS).convert(value, param, ctx)


class UnitNumbers(click.ParamType):
    """Numbers of units as in ``1,5,9``."""

    name = "n,n,…"

    def convert(self, value, param, ctx):
        """The numbers, as a list without repetitions."""
        if not isinstance(value, str):
            return value
        return list(dict.fromkeys(Whole(1, 65_536).convert(part, param, ctx) for part in value.split(",")))


@command(
    Work,
    click.argument("text"),
    section(
        "The network",
        option("--cell", type=click.Choice(_CELLS, case_sensitive=False), default="lstm", help="The kind of network."),
        option("--hidden", type=Whole(1, _MOST_UNITS), default=_UNITS, help="Its units."),
        seed_option(str(_SEED)),
        option("--checkpoint", type=CheckpointPath(), help="Explain this trained model instead."),
    ),
    section(
        "What is shown",
        option("--step", type=Steps(), help="The step to explain.  [default: 2; 1 if there is no other]"),
        option("--layer", type=Whole(1, 64), help="--checkpoint: the layer.  [default: the top one]"),
        option(
            "--units", type=UnitNumbers(), help=f"The units, from 1.  [default: the first {_UNITS} of a trained model]"
        ),
        option("--html", type=OutputFile(".html"), help="Write all steps as a page for the browser."),
        option("--pager/--no-pager", default=False, help="Show it in $PAGER."),
    ),
    section("General", quiet_option, json_option),
)
def explain(work: Work) -> None:
    """Explain how a small network reads TEXT: every number of a step, from the row of a table to the loss, then every
    gradient, with the finite difference beside it that proves it.

    The network has random weights. It is computed in float64 from the equations.

    \b
    charrnn explain hello
    charrnn explain hello --step 3 --cell gru
    charrnn explain hello --cell transformer
    charrnn explain "The c" --checkpoint fables --units 12,37

    \f

    A network of more than 8 units has its products with weights shown as sums, and no gradients of weights.

    --json writes an object for each step: step, reads, next, probability, loss, forward and back: sections of title,
    sentences, columns and lines; a line has label, values and differences (finite differences, or null).
    """
    title, config, parameters, vocabulary = _trained(work) if work.options["checkpoint"] else _random(work.options)
    _explain(work, title, config, parameters, vocabulary)


def _random(options):
    """A network with starting values, whose vocabulary are the characters of the text."""
    from dataclasses import replace

    from charrnn.config import ModelConfig, TrainConfig
    from charrnn.network.cells import cell_of
    from charrnn.network.initialisation import initialise
    from charrnn.network.parameters import Parameters
    from charrnn.text.vocabulary import Vocabulary

    if options["layer"] is not None:
        raise click.UsageError("--layer chooses a layer of a --checkpoint: the small network has one.")
    vocabulary = Vocabulary(sorted(set(options["text"]) or {"\n"}))
    config = ModelConfig(len(vocabulary), options["hidden"], 1, cell=options["cell"])
    if config.cell == "transformer":
        heads = 2 if config.hidden % 2 == 0 and config.hidden > 2 else 1  # of two units or more: a pair is what turns
        config = cell_of(config).completed(replace(config, heads=heads))
    parameters, seed = Parameters(config), _SEED if options["seed"] is None else options["seed"]
    defaults = TrainConfig()
    initialise(parameters, config, seed, defaults.init, defaults.forget_bias)
    units = "1 unit" if config.hidden == 1 else f"{config.hidden} units"
    title = f"A small {cell_of(config).title}: {units}, {len(vocabulary)} characters, random weights"
    return title, config, parameters, vocabulary


def _trained(work: Work):
    """The network of a checkpoint."""
    from charrnn.checkpoints.run_folder import BEST, open_checkpoint
    from charrnn.commands.live_page import name_of
    from charrnn.network.cells import cell_of

    if own := given(("cell", "hidden", "seed")):
        raise click.UsageError(f"--{own[0]} is for the small network: leave it out, or leave --checkpoint out.")
    path, found = open_checkpoint(work.options["checkpoint"], BEST, work.terminal.warn)
    config = found.model
    layers = "1 layer" if config.layers == 1 else f"{config.layers} layers"
    title = f"{name_of(path)}: {cell_of(config).title}, {layers} of {config.hidden} units, trained"
    return title, config, found.parameters, found.vocabulary


def _explain(work: Work, title: str, config, parameters, vocabulary) -> None:
    from charrnn.display.page.explanation import page
    from charrnn.display.reports.explanation import overview_lines, shown, step_lines
    from charrnn.errors import ConfigError, VocabularyError
    from charrnn.explanation.explain import Explanation
    from charrnn.explanation.recurrent_sections import RecurrentSteps
    from charrnn.explanation.transformer_sections import TransformerSteps
    from charrnn.system.files import write_durably
    from charrnn.text.vocabulary import OR_SKIP

    options = work.options
    text = options["text"].encode("utf-8", "surrogateescape") if vocabulary.is_bytes else options["text"]
    if len(text) > _MOST_CHARACTERS:
        raise ConfigError(f"a text of {len(text):,} characters is too long to explain: give at most {_MOST_CHARACTERS}")
    try:
        explanation = Explanation(config, parameters, vocabulary.encode(text))
    except VocabularyError as error:
        raise ConfigError(str(error).removesuffix(OR_SKIP)) from None
    layer = _within(options["layer"] or config.layers, config.layers, "--layer", "layers") - 1
    first = min(config.hidden, _UNITS if options["checkpoint"] else config.hidden)
    units = [_within(unit, config.hidden, "--units", "units") - 1 for unit in options["units"] or range(1, first + 1)]
    step = min(2, explanation.steps) if options["step"] is None else options["step"]
    chosen = [_within(step, explanation.steps, "--step", "steps") - 1] if step else list(range(explanation.steps))
    symbols = [chr(symbol) if isinstance(symbol, int) else symbol for symbol in vocabulary.to_list()]
    sections = TransformerSteps if config.heads else RecurrentSteps
    made = sections(explanation, shown(symbols), layer, units)
    summaries = [made.summary(t) for t in range(explanation.steps)]
    if config.layers > 1:
        title += f"; layer {layer + 1}"

    def record(t: int) -> dict:
        return {
            "step": t + 1, "reads": summaries[t].reads, "next": summaries[t].target,
            "probability": summaries[t].probability, "loss": summaries[t].loss,
            "forward": list(map(_record, made.forward(t))), "back": list(map(_record, made.back(t))),
        }  # fmt: skip

    def lines():
        yield from overview_lines(title, made.about, summaries, chosen, work.terminal.width)
        for t in chosen:
            yield from step_lines(t + 1, summaries[t], made.forward(t), made.back(t), work.terminal.width)

    if options["html"]:
        with work.bar("Explaining") as progress:
            steps = []
            for t in range(explanation.steps):
                steps.append((summaries[t], list(made.forward(t)), list(made.back(t))))
                progress(t + 1, explanation.steps)
        write_durably(options["html"], page(title, made.about, steps).encode())
        work.terminal.note(f"wrote {options['html']}")
        if work.terminal.wants_json:
            work.terminal.json({"record": "file", "path": str(options["html"])})
        return
    work.show(map(record, chosen), lines())


def _within(number: int, most: int, flag: str, what: str) -> int:
    if number > most:
        there = f"there is 1 {what.removesuffix('s')}" if most == 1 else f"there are {most:,} {what}"
        raise click.UsageError(f"{flag} {number}: {there}.")
    return number


def _record(section) -> dict:
    return section._asdict() | {
        "lines": [
            {
                "label": line.label,
                "values": line.values.tolist(),
                "differences": None if line.differences is None else line.differences.tolist(),
            }
            for line in section.lines
        ]
    }
