"""Commands that take a model of any kind."""

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output

GROUP = "Models"


@command("info", group=GROUP, example="seqcli info fx")
def info(out: Output, model: options.Model) -> None:
    """Say what a model folder holds: what it was trained on, its settings, and how good it is beside the baselines."""
    from seqcli.core import describe

    out.result(describe.describe(model), str(model))
