"""Names of cells by what they track: found in the run's own text once for a model, and kept."""

from charrnn.commands.help import option

names_option = option(
    "--names/--no-names", default=True, rare=True,
    help="Name cells by what they track in the held-out part of the run's own text, if it is still there.",
)  # fmt: skip


def tracked_cells(work):
    """What the cells of the model of ``work``, an Inspection, track: a ``Tracked`` by cell (layer, unit).

    The names are computed where no file has them. They are left out if the run's own text is not there any more.
    """
    from charrnn.inspection.naming import name_cells
    from charrnn.inspection.naming_cache import NamingCache

    cache = NamingCache(work.model, work.options["checkpoint"])
    found = cache.load(work.terminal.warn)
    if found is None:
        ids = work.own_ids if work.own_ids is not None else _own_text(work.model)
        if ids is None:
            return {}
        with work.bar("Naming cells, once for this model") as progress:
            found = name_cells(work.model, ids, progress)
        cache.save(found, work.terminal.note)
    if found and work.own_ids is None:
        work.terminal.note("Cells are named by what they track in the run's own text.")
    return found


def _own_text(model):
    """Ids (N,) of the text that inspect reads by default, or None if it is not there any more."""
    from charrnn.commands.texts import Texts
    from charrnn.display.terminal.console import Terminal
    from charrnn.errors import CharRNNError

    # Notes about this text would confuse, because another text is read.
    try:
        return Texts(model, Terminal(quiet=True)).scored().ids
    except CharRNNError:
        return None
