"""Which options of ``train`` the user gave."""

import click


def given(ctx: click.Context, names: tuple[str, ...]) -> list[str]:
    """The names among ``names`` of options that the user gave, on the command line or in a file."""
    sources = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    return [name for name in names if ctx.get_parameter_source(name) in sources]
