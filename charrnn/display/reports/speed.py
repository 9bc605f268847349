"""How fast a machine is at a model, as lines: the objects that ``bench`` writes with ``--json``."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.tables import key_values, paragraph, table

_ADVICE = "A larger batch takes fewer steps for an epoch: it may need a higher --lr or more epochs."


def speed_lines(record: Mapping[str, Any], cell: str, width: int) -> list[Text]:
    """One measurement. ``cell`` is the title of the model's cell."""
    peak = f"{record['share_of_peak']:.0%} of the {record['peak_gflops']:.0f} that its registers can do"
    pairs = [
        ("model", f"{_model(record, cell)}, batch of {record['batch_size']}"),
        ("threads", str(record["threads"])),
        ("training", f"{record['training_chars_per_s']:,.0f} characters a second"),
        ("", f"{record['gflops']:.0f} GFLOP/s, {peak}"),
        ("where it goes", ", ".join(f"{part} {share:.1%}" for part, share in record["parts"].items())),
        ("evaluation", f"{record['evaluation_chars_per_s']:,.0f} characters a second"),
        ("writing", f"{record['sampling_chars_per_s']:,.0f} characters a second, one text"),
        ("memory", numbers.memory(record["memory_bytes"])),
    ]
    return key_values(pairs, width)


def sweep_lines(records: Sequence[Mapping[str, Any]], cell: str, width: int) -> list[Text | str]:
    """A table of measurements of one model with several batch sizes and numbers of threads."""
    rows = [
        (each["batch_size"], each["threads"], round(each["training_chars_per_s"]), f"{each['gflops']:.0f}",
         f"{each['share_of_peak']:.0%}", numbers.memory(each["memory_bytes"]))
        for each in records
    ]  # fmt: skip
    columns = ("batch size", "threads", "training chars/s", "GFLOP/s", "of peak", "memory")
    about, advice = (paragraph(sentence, width) for sentence in (_model(records[0], cell), _ADVICE))
    return [*about, "", *table(columns, rows, width), "", *advice]


def together_lines(record: Mapping[str, Any], cell: str, width: int) -> list[Text | str]:
    """One measurement of several ranks that train together."""
    ranks = record["ranks"]
    rows = [
        (str(each["rank"]), each["host"], each["threads"], each["rows"], round(each["training_chars_per_s"]),
         f"{each['waiting_share']:.1%}")
        for each in ranks
    ]  # fmt: skip
    groups = f"{record['groups']} group{'s' * (record['groups'] > 1)}"
    pairs = [
        ("model", f"{_model(record, cell)}, batch of {record['batch_size']} in {groups}"),
        ("gradient", f"{numbers.memory(record['gradient_bytes'])}, added up once a step"),
        ("training", f"{record['training_chars_per_s']:,.0f} characters a second, all ranks together"),
        ("waiting", f"{record['waiting_share']:.1%} of a step, the mean of the ranks"),
    ]
    columns = ("rank", "host", "threads", "rows", "training chars/s", "waits")
    return [*key_values(pairs, width), "", *table(columns, rows, width)]


def _model(record: Mapping[str, Any], cell: str) -> str:
    sizes = record["config"]
    network = f"{cell}, {sizes['layers']} x {sizes['hidden']}"
    if sizes.get("heads"):
        network += f", {numbers.attention(sizes['heads'], sizes['context'])}"
    return f"{network}, {numbers.characters(sizes['vocabulary'])}, windows of {record['seq_len']}"
