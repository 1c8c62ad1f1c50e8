"""Which names the studio answers to: a page elsewhere that points its own name here gets nothing."""

from __future__ import annotations

import ipaddress
import socket

LOOPBACK = ["127.0.0.1", "localhost", "[::1]", "::1"]


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def names_of(host: str, given: list[str]) -> list[str]:
    """The Host headers to answer to: loopback, the address listened on, this machine's name, and those given.

    Where every address is listened on, those that this machine's name stands for count too.
    """
    own = socket.gethostname()
    found = [*LOOPBACK, host, own, f"{own}.local", *given]
    if host in ("0.0.0.0", "::"):
        try:
            found += [str(info[4][0]) for info in socket.getaddrinfo(own, None)]
        except OSError:
            print(f"The addresses of '{own}' are not known; give the names that people type with --name.", flush=True)
    return list(dict.fromkeys(n for n in found if n not in ("0.0.0.0", "::")))
