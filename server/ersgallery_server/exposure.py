"""What stands between the server's port and whoever can reach it."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone; a name other than localhost is taken not to be."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def missing_protection(host: str, *, encrypted: bool, callers_known: bool) -> str:
    """Return what an address that others can reach lacks, in words; empty for loopback or where nothing is missing."""
    if is_loopback(host):
        return ""
    lacks = {"TLS": encrypted, "tokens": callers_known}
    return " and ".join(name for name, there in lacks.items() if not there)
