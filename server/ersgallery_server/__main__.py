"""`python -m ersgallery_server` is `ersgallery-server`."""

from ersgallery_server.cli import main

if __name__ == "__main__":
    main()
