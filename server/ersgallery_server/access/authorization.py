"""Decides whether a caller may do what it asks for, before anything is looked up."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from ersgallery_server.access.rates import Rates
from ersgallery_server.access.rules import RULES, Place, Rule
from ersgallery_server.call import Behavior, Call
from ersgallery_server.errors import PermissionDenied
from ersgallery_server.operations import Operations


class Authorization:
    """Lets in what the caller's grant permits, at the caller's rate."""

    def __init__(self, operations: Operations, rates: Rates) -> None:
        self._operations = operations
        self._rates = rates

    def around(self, method: MethodDescriptor, behavior: Behavior) -> Behavior:
        """Return what serves a method where it is permitted; raises KeyError for a method without a rule."""
        rule = RULES[method.full_name]
        if method.client_streaming:
            return lambda requests, call: behavior(self._each(rule, requests, call), call)

        def serve(request: Any, call: Call) -> Any:
            self._check(rule, request, call)
            return behavior(request, call)

        return serve

    def _each(self, rule: Rule, requests: Iterable[Any], call: Call) -> Iterator[Any]:
        for request in requests:
            self._check(rule, request, call)
            yield request

    def _check(self, rule: Rule, request: Any, call: Call) -> None:
        """Raise PermissionDenied or RateLimited; what a caller may not do costs it no more than any call."""
        if not self._permits(rule, request, call):
            self._rates.take(call.caller, call.grant, 1)
            raise PermissionDenied
        self._rates.take(call.caller, call.grant, max(1, rule.faces(request)))

    def _permits(self, rule: Rule, request: Any, call: Call) -> bool:
        grant = call.grant
        if rule.scope not in grant.scopes or not rule.besides(request) <= grant.scopes:
            return False
        if grant.galleries is None:
            return True
        where = rule.where(request, self._operations)
        return where is Place.SHARED or (isinstance(where, str) and grant.sees(where))
