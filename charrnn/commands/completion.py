"""``charrnn completion``: a script with which a shell completes commands, options, files and names."""

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from charrnn.commands.help import COMPLETION, Command


class _Answer(ShellComplete):
    """What is the same for all shells."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """What can be offered.

        A name with a line break or a control character would change the lines of the answer, so it is left out.  Of
        ``--name=d`` click answers with what can stand for ``d``, but most shells replace the whole word.
        """
        before = incomplete[: incomplete.find("=") + 1] if incomplete.startswith("--") else ""
        found = [item for item in super().get_completions(args, incomplete) if item.value.isprintable()]
        for item in found:
            if item.type == "plain":
                item.value = before + item.value
        return found


class Bash(_Answer, BashComplete):
    """bash. Files and names can be offered together; where nothing is offered bash completes file names by itself.

    Readline quotes everything if it is told that there are file names (``-o filenames``), and puts a slash behind
    folders.  A command's or a run's name needs no slash if a folder here is called the same, so names alone are quoted
    by ``printf``.
    """

    source_template = """\
%(complete_func)s() {
    local answer value names=() paths=()
    while IFS= read -r answer; do
        value=${answer#*,}
        case ${answer%%%%,*} in
            plain) names+=("$value") ;;
            file) mapfile -t paths < <(compgen -f -- "$value") ;;
            dir) mapfile -t paths < <(compgen -d -- "$value") ;;
        esac
    done < <(IFS=$'\\n'; env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \\
        %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    if ((${#paths[@]})) || [[ ${COMP_WORDS[COMP_CWORD]} == [\\'\\"]* ]]; then
        compopt -o filenames +o nosort
        COMPREPLY=("${names[@]}" "${paths[@]}")
    elif ((${#names[@]})); then
        mapfile -t COMPREPLY < <(printf '%%q\\n' "${names[@]}")
    fi
}

complete -o nosort -o default -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The complete words of the line, and the word that is not. bash makes three words of ``--name=demo``."""
        words, incomplete = super().get_completion_args()
        before = ["", *words]
        return [word for last, word in zip(before, words, strict=False) if word != "=" or last[:2] != "--"], incomplete


class Zsh(_Answer, ZshComplete):
    """zsh, which quotes what it inserts."""


class Fish(_Answer, FishComplete):
    """fish, which quotes what it inserts. click's script cuts a name at a comma, and knows no quotes in paths.

    The arguments of the command ``''``, which there is not, are files: this has fish complete them in its own way.
    """

    source_template = """\
function %(complete_func)s
    set -l word (commandline -ct)
    for answer in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp | string collect) \\
            COMP_CWORD="$word" %(prog_name)s)
        set -l parts (string split --max 1 , -- $answer)
        switch $parts[1]
            case plain
                echo $parts[2]
            case file
                complete -C "'' $word"
            case dir
                __fish_complete_directories "$word"
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class PowerShell(_Answer, ShellComplete):
    """PowerShell. Where nothing is offered it completes file names by itself."""

    name = "powershell"
    source_template = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($word, $line, $position)
    $env:COMP_LINE = $line.ToString()
    $env:COMP_WORD = $word
    $env:%(complete_var)s = "powershell_complete"
    try {
        $answers = @(%(prog_name)s)
    } finally {
        Remove-Item Env:COMP_LINE, Env:COMP_WORD, Env:%(complete_var)s -ErrorAction SilentlyContinue
    }
    foreach ($answer in $answers) {
        $kind, $value, $help = $answer -split "`t", 3
        if ($kind -eq "plain") {
            $text = $value
            if ($value -match "[^\\w./\\\\:=+-]") {
                $text = [System.Management.Automation.Language.CodeGeneration]::EscapeSingleQuotedStringContent($value)
                $text = "'$text'"
            }
            if (-not $help) { $help = $value }
            [System.Management.Automation.CompletionResult]::new($text, $value, "ParameterValue", $help)
        } elseif ($kind) {
            [System.Management.Automation.CompletionCompleters]::CompleteFilename($word) |
                Where-Object { $kind -eq "file" -or $_.ResultType -eq "ProviderContainer" }
        }
    }
}
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The complete words of the line, and the word that is not. PowerShell leaves an empty variable out."""
        word = os.environ.get("COMP_WORD", "")
        words = split_arg_string(os.environ["COMP_LINE"])[1:]
        return (words[:-1] if word and words else words), word.strip("'\"")

    def format_completion(self, item: CompletionItem) -> str:
        """A line of the answer."""
        return f"{item.type}\t{item.value}\t{' '.join((item.help or '').split())}"


for _shell in (Bash, Zsh, Fish, PowerShell):
    add_completion_class(_shell)


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish", "powershell")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Write a script with which SHELL completes commands, options, files, and the names of runs and texts.

    In ~/.bashrc and ~/.zshrc the script is run by eval "$(charrnn completion bash)" and eval "$(charrnn completion
    zsh)". These are for fish, once, and for the $PROFILE of PowerShell:

    \b
    charrnn completion fish > ~/.config/fish/completions/charrnn.fish
    charrnn completion powershell | Out-String | Invoke-Expression
    """
    made = get_completion_class(shell)(ctx.parent.command, {}, "charrnn", COMPLETION)
    click.echo(made.source())
