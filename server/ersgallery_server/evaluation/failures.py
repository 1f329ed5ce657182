"""Why a protocol cannot run on given data."""


class NotMeasurable(Exception):
    """This data cannot be measured by a protocol; the text is one sentence for people."""


class ServerUnusable(Exception):
    """A running service cannot be reached or refuses what an evaluation needs; the text is for people."""
