"""``charrnn inspect distance``: what a long way back to an opening sign costs."""

from charrnn.commands.help import option
from charrnn.commands.inspect.analysis import Analysis, analysis
from charrnn.commands.options import fit_option
from charrnn.commands.types import Whole


@analysis(
    option("--order", type=Whole(1, 12), help="Order of the n-gram.  [default: the best one on this text]"), fit_option
)
def distance(work: Analysis) -> None:
    """Measure the loss of the model in CHECKPOINT at closing brackets, closing quotation marks and line ends of TEXT,
    by the distance to the opening sign or to the line end before. Beside it stands the loss of an n-gram, which cannot
    look back further than its order.

    \b
    charrnn inspect distance fables
    charrnn inspect distance fables --part validation -o distance.svg

    \f

    --json writes one object: part, characters, loss, baseline, order, kinds; for each kind its bins (start, stop,
    count, loss, loss_error, baseline, baseline_error, gain, gain_error).
    """
    from dataclasses import asdict

    from charrnn.analysis.distance import distances
    from charrnn.display.figures.analyses import distance_figure
    from charrnn.display.reports.distance import distance_lines

    work.open()
    training, part = work.training(), work.part
    with work.stages() as progress:
        found = distances(work.model, part.ids, training, part.before, work.options["order"], progress)
    report = {"part": part.name, **asdict(found)}
    work.finish([report], distance_lines(report, work.terminal.width), lambda: distance_figure(report))
