"""seqcli: honest recurrent models as a command."""

__version__ = "0.1.0"
