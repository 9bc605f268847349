"""``charrnn completion``: a script with which a shell completes commands, options and the names of runs."""

import os

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from charrnn.commands.help import COMPLETION, Command


class PowerShellComplete(ShellComplete):
    """PowerShell, which click does not know. Where nothing is offered PowerShell completes file names by itself."""

    name = "powershell"
    source_template = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($word, $line, $position)
    $env:COMP_LINE = $line.ToString()
    $env:COMP_WORD = $word
    $env:%(complete_var)s = "powershell_complete"
    try {
        %(prog_name)s | ForEach-Object {
            $value, $help = $_ -split "`t", 2
            if (-not $help) { $help = $value }
            [System.Management.Automation.CompletionResult]::new($value, $value, "ParameterValue", $help)
        }
    } finally {
        Remove-Item Env:COMP_LINE, Env:COMP_WORD, Env:%(complete_var)s
    }
}
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The complete words of the line, and the word that is not."""
        words, incomplete = split_arg_string(os.environ["COMP_LINE"])[1:], os.environ["COMP_WORD"]
        return (words[:-1] if incomplete and words else words), incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """A line of the answer."""
        return f"{item.value}\t{item.help or ''}"

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """What can be offered, without click's request to complete file names."""
        return [item for item in super().get_completions(args, incomplete) if item.type == "plain"]


add_completion_class(PowerShellComplete)


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish", "powershell")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Write a script with which SHELL completes commands, options and the names of runs.

    In ~/.bashrc and ~/.zshrc the script is run by eval "$(charrnn completion bash)" and eval "$(charrnn completion
    zsh)". These are for fish, once, and for the $PROFILE of PowerShell:

    \b
    charrnn completion fish > ~/.config/fish/completions/charrnn.fish
    charrnn completion powershell | Out-String | Invoke-Expression
    """
    made = get_completion_class(shell)(ctx.parent.command, {}, "charrnn", COMPLETION)
    click.echo(made.source())
