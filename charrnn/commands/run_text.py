"""The text that a run was trained on: found, read as the run read it, and recognised."""

from pathlib import Path
from typing import Any

from charrnn.errors import ConfigError, VocabularyError
from charrnn.settings import TEXT


def read_run_text(text: tuple[str, ...], checkpoint, terminal):
    """The text of a run, and its sources.

    Args:
        text: where it is now; () for where it was when the run began.
        checkpoint: of the run, or its description.
        terminal: shows progress.

    Raises:
        ConfigError: the text is not there, or has characters that the model does not know.
    """
    from charrnn.commands.texts import open_text
    from charrnn.training.resumed_run import not_the_text

    facts = checkpoint.corpus
    reading = {name: facts[name] for name in TEXT} | {"unknown": facts.get("unknown")}
    sources = _sources(text, facts)
    try:
        return open_text(terminal, sources, vocabulary=checkpoint.vocabulary, **reading), sources
    except VocabularyError as error:
        raise not_the_text(error) from None


def _sources(text: tuple[str, ...], facts: dict[str, Any]) -> tuple[str, ...]:
    """The names of the run's text: the user's, else those of the run's first command, else its paths then.

    Raises:
        ConfigError: the text is not there any more.
    """
    from charrnn.text.provenance import may_match

    sources, paths = text or tuple(facts["sources"]), tuple(facts["paths"])
    if not text and "-" in sources:
        raise ConfigError(
            "the run's text came from standard input or from Python: pipe it in again, and name it with -"
        )
    if text or may_match(sources, facts):
        return sources
    if may_match(paths, facts):
        return paths
    missing = [path for path in paths if not Path(path).exists()]
    name = Path(sources[0])
    if len(missing) == len(paths) == 1 and not name.suffix and not name.exists():
        return sources  # a name of the catalog, which knows what to do
    if missing:
        raise ConfigError(f"the run's text {missing[0]} is not there any more: name it as TEXT where it is now")
    named = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more"
    raise ConfigError(f"the run's text {named} cannot be what is there now, by the size: name it as TEXT")
