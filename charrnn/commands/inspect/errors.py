"""``charrnn inspect errors``: what unexpected characters have in common."""

from charrnn.commands.inspect.analysis import Analysis, analysis
from charrnn.commands.options import fit_option
from charrnn.commands.work import picked


@analysis(fit_option)
def errors(work: Analysis) -> None:
    """Sort the characters of TEXT to which the model in CHECKPOINT gave less than 1/2 by what would have fixed them: a
    chain of oracles, each of which takes errors away from the next.

    The oracles are n-grams of order 1 to 9; a word seen in the last 100 to 5,000 characters; words that are rare in the
    training text; the first character of a word and of a line; punctuation; and how much the rest lacks to 1/2.

    \b
    charrnn inspect errors fables
    charrnn inspect errors fables -o errors.svg

    \f

    --json writes one object: part, characters, loss (nats per character), errors, share (of the characters),
    loss_share, oracles (group, name, errors, share of the errors, loss_share of all loss).
    """
    from charrnn.analysis.errors import analyse_errors
    from charrnn.display.figures.analyses import errors_figure
    from charrnn.display.reports.errors import errors_lines

    work.open()
    training, part = work.training(), work.part
    with work.stages() as progress:
        found = analyse_errors(work.model, part.ids, training, part.before, progress)
    loss = found.loss or 1.0  # of which the errors have no share; a text of one character has no loss
    report = {
        "part": part.name,
        "characters": found.characters,
        "loss": found.loss / found.characters,
        "errors": found.errors,
        "share": found.errors / found.characters,
        "loss_share": found.error_loss / loss,
        "oracles": [
            picked(each, "group", "name", "errors")
            | {"share": each.errors / max(found.errors, 1), "loss_share": each.loss / loss}
            for each in found.shares
        ],
    }
    work.finish([report], errors_lines(report, work.terminal.width), lambda: errors_figure(report))
