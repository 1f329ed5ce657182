"""What a load shows that was not promised."""


class Broken(Exception):
    """A promise was broken; the text says which, with the figures."""


def require(holds: bool, promise: str, *figures: object) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(" ".join([promise + ":", *map(str, figures)]) if figures else promise)
