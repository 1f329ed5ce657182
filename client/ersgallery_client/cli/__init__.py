"""The command line `ersgallery`: needs click and rich, which the rest of the package does not import."""

from ersgallery_client.cli.app import app


def main() -> None:
    """Run the command line and exit: 0 fine, 1 error, 2 usage."""
    app(prog_name="ersgallery")


__all__ = ["main"]
