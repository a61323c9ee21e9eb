"""``Client``: lakefs-sdk behind one seam, and the only file that imports it.

Every call has a time-out, every listing goes page by page, and vendors' errors go no further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError as PydanticError

from trainset.errors import MissingExtra
from trainset.versions.lakefs import errors
from trainset.versions.lakefs.access import LakeFSAccess

try:
    import lakefs_sdk
    import pydantic.v1 as sdk_pydantic  # the SDK's models are of pydantic's first version
    from lakefs_sdk.client import LakeFSClient
    from urllib3.exceptions import HTTPError
except ImportError as err:
    raise MissingExtra("a home on lakeFS", "lakefs") from err

PAGE = 1000  # items a request, the server's most
TIMEOUT_S = (10.0, 300.0)  # connect, read: a merge of a large commit takes its time
CONNECTIONS = 32


class Client:
    """Calls on one repository of a server; safe to share by threads.

    Args:
        name: of the repository; it need not exist yet.
    """

    def __init__(self, access: LakeFSAccess, name: str) -> None:
        self.access, self.name = access, name
        configuration = lakefs_sdk.Configuration(
            host=f"{access.url}/api/v1",
            username=access.key_id,
            password=access.secret_key.get_secret_value(),
        )
        configuration.connection_pool_maxsize = CONNECTIONS
        self.sdk = LakeFSClient(configuration)

    def pages(
        self, what: str, call: Callable[..., Any], *args: Any, most: int | None = None, **named: Any
    ) -> Iterator[Any]:
        """All results of a call that lists, or the first ``most``."""
        after, left = "", most
        while True:
            amount = PAGE if left is None else min(left, PAGE)
            page = self.call(what, call, *args, after=after, amount=amount, **named)
            yield from page.results
            if left is not None:
                left -= len(page.results)
            if not page.pagination.has_more or (left is not None and left <= 0):
                return
            after = page.pagination.next_offset

    def call(self, what: str, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Make one call; ``what`` says it in words, for errors."""
        with self._errors(what):
            return call(*args, _request_timeout=TIMEOUT_S, **named)

    def make(self, what: str, model: str, **fields: Any) -> Any:
        """A body for a call: one of the SDK's models, which checks its fields."""
        with self._errors(what):
            return getattr(lakefs_sdk, model)(**fields)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """The seam: vendors' errors go no further."""
        try:
            yield
        except lakefs_sdk.ApiException as err:
            said = errors.read_message(err.body) or str(err.reason)
            reply = errors.Reply(int(err.status or 0), said)
            raise errors.explain(reply, what=what, endpoint=self.access.url) from err
        except (sdk_pydantic.ValidationError, PydanticError) as err:
            faults = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in err.errors())
            raise errors.refused_value(what, faults) from err
        except lakefs_sdk.OpenApiException as err:
            raise errors.refused_value(what, str(err)) from err
        except (HTTPError, OSError) as err:
            raise errors.unreachable(what, self.access.url, str(err)) from err
