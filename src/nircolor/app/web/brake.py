"""Slow down clients that guess the token."""

import ipaddress
from collections import OrderedDict
from contextlib import suppress
from time import monotonic
from typing import Any, Final

# wrong tokens that cost nothing: a person mistypes
_FREE: Final = 10
_LONGEST_S: Final = 60.0
# after this time without a wrong token, those before are forgotten
_FORGOTTEN_S: Final = 600.0
_MOST_CLIENTS: Final = 10_000


def client_of(scope: Any) -> str:
    """Return the address of the client of an ASGI request; an IPv6 network counts as one client."""
    host = scope["client"][0] if scope.get("client") else ""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.version == 6:
            return str(ipaddress.ip_network(f"{address}/64", strict=False))
    return str(host)


class Brake:
    """Counts the wrong tokens of each client; from the eleventh on, the client has to wait after each.

    It waits for one second, then two, four and so on, up to a minute. Meanwhile its right tokens are refused
    as well, since their answers would tell.

    Examples:
        >>> brake = Brake()
        >>> for _ in range(12):
        ...     brake.failed("192.0.2.1")
        >>> round(brake.wait_s("192.0.2.1")), brake.wait_s("192.0.2.2")
        (2, 0.0)
    """

    def __init__(self) -> None:
        # number of wrong tokens and time of the last one; the client that failed last is at the end
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, client: str) -> None:
        """Count a wrong token."""
        count, last = self._failures.pop(client, (0, 0.0))
        now = monotonic()
        self._failures[client] = (1 if now - last > _FORGOTTEN_S else count + 1, now)
        if len(self._failures) > _MOST_CLIENTS:
            self._failures.popitem(last=False)

    def wait_s(self, client: str) -> float:
        """Return the seconds until the client may try again, 0 for at once."""
        count, last = self._failures.get(client, (0, 0.0))
        if count <= _FREE:
            return 0.0
        # the exponent is bounded, since a float is
        pause = min(_LONGEST_S, 2.0 ** min(count - _FREE - 1, 10))
        return max(0.0, last + pause - monotonic())
