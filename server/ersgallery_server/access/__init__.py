"""Who may call: tokens, what each permits, and how often. One table says what every method needs."""

from ersgallery_server.access.authentication import Authentication
from ersgallery_server.access.authorization import Authorization
from ersgallery_server.access.directory import TokenDirectory
from ersgallery_server.access.rates import Rates

__all__ = ["Authentication", "Authorization", "Rates", "TokenDirectory"]
