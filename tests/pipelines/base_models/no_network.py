"""Make every connection an error; run as a program it opens bases so.

    python -m tests.pipelines.base_models.no_network FOLDER HUB_ID
"""

from __future__ import annotations

import socket
import sys
from typing import Any, NoReturn


def forbid_network() -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        print("TOUCHED THE NETWORK")
        raise OSError("no network here")

    socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse


if __name__ == "__main__":
    forbid_network()
    from adapters.errors import StudioError
    from pipelines.base_models.load import load_base

    print("family", load_base(sys.argv[1]).identity.family)
    try:
        load_base(sys.argv[2])
    except StudioError as error:
        print("refusal", error)
