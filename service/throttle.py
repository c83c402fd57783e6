"""How often one client may knock where nobody has proved who they are yet. Counts live in this process.

Behind a reverse proxy every request has the proxy's address unless the service believes what the proxy
says of its clients (setting SERVICE_TRUSTED_PROXIES).
"""

import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Callable

from feedback.errors import TooMany

WINDOW_SECONDS = 60.0


class Throttle:
    """So many a minute and client. The counts begin anew each minute, so they never pile up."""

    def __init__(
        self, per_minute: int, what: str, setting: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = per_minute
        self._what = what
        self._setting = setting
        self._clock = clock
        self._began = clock()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, address: str | None) -> None:
        """Count one; TooMany when this client has had its share of the minute."""
        with self._lock:
            self._begin_anew()
            client = client_of(address)
            if self._counts[client] >= self._per_minute:
                seconds = max(1, round(self._began + WINDOW_SECONDS - self._clock()))
                raise TooMany(
                    f"Found more than {self._per_minute} {self._what} from your network within a "
                    f"minute (setting {self._setting}). Try again in {seconds} seconds.",
                    seconds,
                )
            self._counts[client] += 1

    def forgive(self, address: str | None) -> None:
        """The one just counted was no abuse."""
        with self._lock:
            client = client_of(address)
            self._counts[client] = max(0, self._counts[client] - 1)

    def _begin_anew(self) -> None:
        if self._clock() - self._began >= WINDOW_SECONDS:
            self._began = self._clock()
            self._counts.clear()


def client_of(address: str | None) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 network, as one household has 2**64."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found.packed[:8] + bytes(8), 64)))
    return str(found)
