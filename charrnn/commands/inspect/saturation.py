"""``charrnn inspect saturation``: how often gates are nearly closed or open."""

from charrnn.commands.inspect.analysis import Analysis, analysis
from charrnn.errors import ConfigError


@analysis()
def saturation(work: Analysis) -> None:
    """Count the share of time that each unit's gates are under 0.1 and over 0.9 (signals from -1 to 1, such as
    tanh(c): under -0.9 and over 0.9), for the model in CHECKPOINT reading TEXT.

    It shows a table by layer over its units (mean, quartiles, how many are there over 90 % of the time, the extreme
    one), and a scatter of the units for each gate.

    \b
    charrnn inspect saturation fables
    charrnn inspect saturation fables -o gates.svg

    \f

    --json writes an object for each layer: layer, characters, part, and low and high, which have by gate (an
    LSTM has i, f, o, g and tanh_c) the share of each unit.
    """
    from charrnn.display.figures.analyses import saturation_figure
    from charrnn.display.reports.saturation import saturation_lines
    from charrnn.inference.ensemble import Ensemble
    from charrnn.training.diagnosis import saturation as count

    work.open()
    network, part = work.model.network, work.part
    if isinstance(network, Ensemble):
        raise ConfigError("an ensemble has no gates of its own: look into its models one by one")
    if not network.cell.gates:
        raise ConfigError(f"{work.options['checkpoint']}: a {network.cell.title} has no gates that could be saturated")
    with work.stages() as progress:
        found = count(network, part.ids, progress=lambda *done: progress("Reading", *done))
    layers = [
        {"layer": layer, "characters": found.characters, "part": part.name}
        | {end: {name: shares[layer] for name, shares in getattr(found, end).items()} for end in ("low", "high")}
        for layer in range(network.config.layers)
    ]
    gates = network.cell.gates
    work.finish(layers, saturation_lines(layers, gates, work.terminal.width), lambda: saturation_figure(layers, gates))
