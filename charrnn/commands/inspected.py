"""What ``inspect`` reads: a text that is named or given, or the part of the run's own that was held out."""

from typing import Any


def inspected_ids(model, options: dict[str, Any], terminal):
    """Ids (N,) of the text that is named, else of the part of the run's own that was held out."""
    if options["literal"] is not None:
        text = options["literal"]
        return model.encode(
            text.encode("utf-8", "surrogateescape") if model.vocabulary.is_bytes else text, options["unknown"]
        )
    from charrnn.commands.scored import Texts

    named = options["text"] is not None
    texts = Texts(model, options | {"text": (options["text"],) if named else (), "part": None, "fit": ()}, terminal)
    if named:
        if texts.is_own:
            terminal.note("The model was trained on this text: leave TEXT out for the part that was held out.")
        return texts.corpus.ids
    part = texts.scored(held_out=True)
    terminal.note(f"reads the {part.name} part of the run's own text" if part.name != "all" else "reads all of it")
    return part.ids
