"""Draws command lines at random from click's own tree of commands: a new command or option is drawn without an edit."""

import json
import os
import random
from typing import NamedTuple

import click

from charrnn.commands import charrnn

HOSTILE = "\x1b]0;t\x07\x1b[2J\x9b31m\u202egpj\u2066\r\b\x7f[red]x[/] [/no] :skull: \ufeff\u200b\ufffe" + "\udcff\udc80"
EVIL = "evil\x1b]0;t\x07\x1b[31m\u202e\x9b2J[red]\udcff"  # the name of a file
LONGEST = 130_000  # bytes of one argument; Linux takes 128 KiB
HALF = os.fsdecode("\ud800".encode("utf-8", "surrogatepass"))
TEXTS = (
    *("", " ", "\n", "a\nb\tc", "-", "--", "-q", "--json", "--help", "-9", "the fox", "a", "é漢🦊", "\x1b", HOSTILE),
    *(HALF, EVIL, "%s{0}$(x)`x`;|", "x" * 300, "x" * LONGEST, "\x1b[31m" * 20_000, "[red]" * 20_000, "漢" * 40_000),
)
PATTERNS = (
    *("(a+)+$", "([a-z ]+)*\\d", ".*.*.*.*.*x", "(?=(.+))\\1{50}", "a{99999999999}", "((a{1,99}){1,99}){1,99}"),
    *("[", "(" * 5000, "\\", "(?P<x", "(?i)[\ud7ff-\uffff]+", "", "|", "\\b", "[aeiou]", "the|fox", "\n", "^.*$"),
    *("10:50", "50:10", "0:1", "5:99999999999999999999"),
)
NUMBERS = (
    *("0", "-1", "1", "-0", "0.5", "1e308", "-1e308", "1e-320", "nan", "inf", "-inf", "1" + "0" * 30, "9" * 5000),
    *("1_0", "٣", "0x10", " 7 ", "1e3", "2147483648", "9223372036854775807", "18446744073709551616", "true", "½"),
)
GOOD_TEXTS = ("good.txt", "good.txt", "good.txt", "hostile.txt", "texts", "pipe", "-", EVIL + ".txt")
GOOD_CHECKPOINTS = ("runs/good", "runs/good", "good.safetensors", "runs/bytes", "runs/hostile")
PATHS = (
    *(*GOOD_TEXTS, *GOOD_CHECKPOINTS, "missing", "empty", "runs", "/dev/zero", "/dev/full", "/dev/null", "dead"),
    *("unreadable", "/proc/self/mem", "loop", "cut.safetensors", "flipped.safetensors", "empty.txt", "one.txt"),
    *("binary", "settings.toml", "drawn.toml", "mask.txt", "mask.npy", ".", "..", "", "-", "--dash", "-q"),
    *("[red]a.txt", "x" * 300, "a/" * 2000 + "a", "good.txt/below", "new", "new/er", EVIL, "tinyshakespeare"),
    *("python", "runs/good/metrics.jsonl"),
)
# Values that are likely to be taken, by the name of the parameter; other parameters get a value by their type.
LIKELY = {
    "text": GOOD_TEXTS,
    "fit": GOOD_TEXTS,
    "file": (*GOOD_TEXTS, "theirs.pt", "theirs.t7"),
    "vocabulary_of": GOOD_TEXTS,
    "prime_file": GOOD_TEXTS,
    "config": ("settings.toml", "drawn.toml"),
    "mask": ("mask.txt", "mask.npy"),
    "out": ("runs", "new"),
    "files": GOOD_TEXTS,
    "models": (*("set.safetensors", "set.safetensors", "a=runs/good", "b=runs/bytes", "[red]=good.safetensors"), "set"),
    "prior": ("one=2", "one=0", "a=3", "two=1e9", "none=1", "x"),
    "learn": ("texts", "texts", "texts", "empty", ".", "runs"),
    "output": ("new.txt", "-", "good.txt"),
    "html": ("new.html", "good.txt"),
    "step": ("1", "2", "all"),
    "units": ("1", "2,1", "1,,2", "99999"),
    "name": ("good", "new", "bytes", "tinyshakespeare", "python"),
    "split": ("90/10/0", "80/10/10", "100/0/0", "50,50", "1e9/1/1"),
    "compare": ("0.5,1", "0", "1,2,3,4,5,6,7"),
    "cell": ("0:3", "1:2,0:4", "0:0", "99:99"),
    "at": ("zero", "mean", "0.5", "-3"),
    "track": ("quotes", "word", "line", "column", "all"),
    "where": (*("the|fox", "[aeiou]", "\\w+", "said") * 5, *PATTERNS),
    "span": (*("the|fox", "[aeiou]", "and .", "10:50") * 5, *PATTERNS),
    "match": (
        *("[0-9]{4}-[0-9]{2}", "[A-Z][a-z ]+\\.", ".*", "\\w{3,9}", "(a|b)*a(a|b){20}", "é|[a-z]{2}") * 5,
        *PATTERNS,
    ),
    "without": ("e", "eE", "\\n", "é漢", "abcdefghijklmnopqrstuvwxyz ", *TEXTS),
    "signals": ("c", "h", "i", "f", "g", "o", "i,f,o", "c,c", "i,"),
    "encoding": ("utf-8", "latin-1", "utf-16", "utf-32", "utf-7", "idna", "zlib", "rot13", "unicode_escape"),
    "expect": ("0" * 64, "f" * 64, "F" * 64, "0" * 63, *TEXTS),
    "time_budget": ("1s", "2s", "1.5", "0.5s"),
}
# What a command can do, by the options that say so: most lines have the first option of one of these, and none of the
# others'.
WAYS = {
    "identify": (("models", "whole", "ngrams"), ("models",), ("models",), ("learn", "output", "force", "size")),
    "write": (("serve",),),  # it answers the lines of standard input, which is never a terminal here
}
# Small work, unless the draw says otherwise.
SMALL = {
    **{
        "hidden": 6,
        "layers": 1,
        "seq_len": 8,
        "batch_size": 4,
        "steps": 4,
        "seconds": 0.02,
        "length": 60,
        "threads": 1,
    },
    **{"samples": 2, "others": 2, "permutations": 19, "pace": 0, "limit": 50_000, "vocabulary": 20, "segments": 1},
}
SURPRISES = ("--find=quotes", "--html", "--moments", "analyse", "--json", "-q", "--no-such", "-x", "--", "-h", "-V")
VALUES = ("3", "-1", "0.5", "nan", "-inf", "true", "1e400", "9" * 400, "[" * 2000, "{}", "1979-05-27", "''", "", "'")
STRINGS = ("\x1b]0;t\x07", "[red]", "\u202e", "good.txt", "3", "x" * 100_000)
ODD_SETTINGS = ('"\\u001b]0;x\\u0007\\u202e[red]" = 3', "\x00", "\udcff", "[table]\nhidden = 3", "steps = 2")
ENVIRONMENTS = (
    *({}, {}, {}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}, {"LC_ALL": "C"}),
    *(
        {"COLUMNS": "20"},
        {"COLUMNS": "1"},
        {"COLUMNS": "0"},
        {"COLUMNS": "²"},
        {"LINES": "1"},
        {"PYTHONUNBUFFERED": "1"},
    ),
)


class Line(NamedTuple):
    """A drawn command line.

    Attributes:
        command: the names of the command, or of none.
        words: all arguments, its name included; what is no UTF-8 is in surrogates.
        settings: what `drawn.toml` holds.
        writes: whether the command may write files.
        wants_json: whether `--json` is surely given, and not taken for a value.
        stdin: the file that standard input is, or a closed one.
        stdout: where standard output goes: a file, a terminal, a device that is full, or a closed pipe.
        environment: variables that differ from line to line.
    """

    command: str
    words: list[str]
    settings: bytes
    writes: bool
    wants_json: bool
    stdin: str
    stdout: str
    environment: dict[str, str]


def commands(group=charrnn, above=None, name="charrnn"):
    """All commands below a group, as pairs: their names, and the command."""
    context = click.Context(group, parent=above, info_name=name)
    for below in group.list_commands(context):
        command = group.get_command(context, below)
        if isinstance(command, click.Group):
            yield from (([below, *names], leaf) for names, leaf in commands(command, context, below))
        else:
            yield [below], command


def draw(seed, number, every=None):
    """The command line with this number; the same for the same seed."""
    rng, every = random.Random(f"{seed} {number}"), every or list(commands())
    names, command = rng.choice(every)
    title = " ".join(names)
    if rng.random() < 0.04:
        title = "(others)"
        names = rng.choice(([], names[:-1], [*names[:-1], rng.choice(TEXTS)]))
    absurd = rng.choice((0, 0, 0.1, 0.1, 0.5))  # the share of values that are absurd
    words, wants_json = [], False
    options = [each for each in command.params if isinstance(each, click.Option)]
    few = 2.5 / len(options) if options and rng.random() < 0.8 else 0.3
    way, ways = None, WAYS.get(title, ())
    if ways and rng.random() < 0.9:
        way = rng.choice(ways)
    others = {name for each in ways for name in each} - set(way or ()) if way else set()
    for option in options:
        if option.name in others:
            continue
        wanted = option.required or (way is not None and option.name == way[0])
        is_number = isinstance(option.type, click.IntRange | click.FloatRange)
        small = is_number and option.name in SMALL and rng.random() < 0.95
        for _ in range(rng.choice((1, 1, 2, 3)) if option.multiple else 1):
            if rng.random() < (0.97 if wanted else few):
                words += _given(rng, option, absurd)
                small = small and rng.random() < 0.03
                wants_json |= option.name in ("as_json", "serve")
        if small:
            words += [option.opts[-1], str(SMALL[option.name])]
    for argument in command.params:
        if isinstance(argument, click.Argument) and not (way and way[0] == "learn"):
            if way and way[0] == "serve" and not argument.required and rng.random() < 0.9:
                continue
            most = rng.choice((1, 1, 1, 2)) if argument.nargs < 0 else 1
            words += [
                _value(rng, argument, absurd)
                for _ in range(most)
                if rng.random() < (0.97 if argument.required else 0.8)
            ]
    whole = list(words)
    for _ in range(rng.choice((0,) * 18 + (1, 2))):
        words.insert(rng.randrange(len(words) + 1), rng.choice(SURPRISES + TEXTS))
    if words and rng.random() < 0.02:
        words.pop(rng.randrange(len(words)))
    stdout = rng.choices(("file", "terminal", "/dev/full", "closed"), (86, 10, 2, 2))[0]
    return Line(
        command=title,
        words=[word[:LONGEST] for word in names + words],
        settings=_settings(rng, options),
        writes=any(hasattr(each.type, "suffixes") or each.name in ("out", "output") for each in command.params),
        wants_json=wants_json and words == whole,
        stdin=rng.choice(("good.txt", "good.txt", "empty.txt", "hostile.txt", "binary", "/dev/null")),
        stdout=stdout,
        environment=rng.choice(ENVIRONMENTS),
    )


def _given(rng, option, absurd):
    """An option as words, with its value if it takes one."""
    spelling = rng.choice(option.opts + option.secondary_opts)
    if option.is_flag:
        return [spelling]
    value = _value(rng, option, absurd)
    return [f"{spelling}={value}"] if spelling.startswith("--") and rng.random() < 0.3 else [spelling, value]


def _value(rng, param, absurd):
    """A value for a parameter: one that its type is likely to take, or an absurd one."""
    kind = param.type
    is_path = isinstance(kind, click.Path) or param.name in ("text", "file", "fit", "output", "name")
    if rng.random() < absurd:
        return rng.choice(rng.choice((PATHS, PATHS, TEXTS) if is_path else (NUMBERS, TEXTS, PATTERNS)))
    if hasattr(kind, "suffixes"):
        return rng.choice(("new", "new", "[red]", EVIL, "good")) + rng.choice(kind.suffixes)
    if param.name in LIKELY:
        return rng.choice(LIKELY[param.name])
    if isinstance(kind, click.Choice):
        return rng.choice(kind.choices)
    if isinstance(kind, click.IntRange):
        low, high = kind.min or 0, kind.max or 2**63 - 1
        return str(rng.choice((low, min(low + rng.randrange(20), high), min(rng.randrange(300), high), low, low + 1)))
    if isinstance(kind, click.FloatRange):
        low, high = kind.min or 0.0, 10.0 if kind.max is None else kind.max
        return str(rng.choice((low, min(high, 10.0), rng.uniform(low, min(high, low + 1)))))
    if isinstance(kind, click.Path):
        return rng.choice(GOOD_CHECKPOINTS if "heckpoint" in type(kind).__name__ else PATHS)
    return rng.choice(TEXTS)


def _settings(rng, options):
    """A settings file for a command: some options by their names, with any values."""
    lines = []
    for option in rng.sample(options, min(len(options), rng.choice((0, 1, 1, 2, 5)))):
        value = rng.choice((*VALUES, *map(json.dumps, STRINGS)))
        if isinstance(option.type, click.Choice) and rng.random() < 0.5:
            value = json.dumps(rng.choice(option.type.choices))
        lines.append(f"{rng.choice((option.opts[-1].strip('-'), option.name))} = {value}")
    if rng.random() < 0.1:
        lines.append(rng.choice(ODD_SETTINGS))
    return os.fsencode("\n".join(lines))
