"""Works out, once at registration, how to call a system: from its annotations to resolvers."""

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAliasType, Union

from dam.core.components_markers import MarkerComponent
from dam.core.events import Event
from dam.core.exceptions import SystemRegistrationError
from dam.core.resources import ResourceManager
from dam.core.system_params import (
    FailuresParameter,
    Invocation,
    MarkedEntities,
    OffloadParameter,
    ParameterKind,
    Request,
    Resolver,
    Unsuppliable,
    implied_kind,
)

type AnyFunction = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to call a function: a resolver for each parameter, and the marker it drains, if any."""

    function: AnyFunction
    resolvers: tuple[tuple[str, Resolver], ...]
    marker: type[MarkerComponent] | None
    offloads: bool

    async def call(self, invocation: Invocation) -> object:
        """Call the function, awaiting what it returns if that can be awaited."""
        result = self.function(**{name: resolve(invocation) for name, resolve in self.resolvers})
        return await result if inspect.isawaitable(result) else result


@dataclass(frozen=True, slots=True)
class _Annotation:
    """An annotation taken apart: ``Annotated[kind, parameter] | None``, seen through aliases."""

    kind: Any
    parameter: ParameterKind | None
    arguments: tuple[Any, ...]
    optional: bool


def compile_plan(
    function: AnyFunction, resources: ResourceManager, *, event_type: type[Event[Any]] | None = None
) -> Plan:
    """Return the plan, or raise ``SystemRegistrationError`` with every parameter that can't be supplied."""
    resolvers: list[tuple[str, Resolver]] = []
    markers: list[type[MarkerComponent]] = []
    kinds: dict[str, ParameterKind] = {}
    problems: list[tuple[str, str]] = []
    for parameter in inspect.signature(function).parameters.values():
        try:
            annotation = _annotation_of(function, parameter)
            if annotation is None:
                continue
            kind, request = _kind_and_request(annotation, resources, event_type)
            resolvers.append((parameter.name, kind.compile(request)))
            if isinstance(kind, MarkedEntities):
                markers.append(_only_marker(kind, request, markers))
            kinds[parameter.name] = kind
        except Unsuppliable as reason:
            problems.append((parameter.name, str(reason)))
    if not markers:
        problems += _asked_for_outside_a_queue(kinds)
    if problems:
        raise SystemRegistrationError(function, problems)
    offloads = any(isinstance(kind, OffloadParameter) for kind in kinds.values())
    return Plan(function, tuple(resolvers), markers[0] if markers else None, offloads)


def _asked_for_outside_a_queue(kinds: dict[str, ParameterKind]) -> list[tuple[str, str]]:
    reason = "only a system over marked entities can be given it"
    return [(name, reason) for name, kind in kinds.items() if isinstance(kind, FailuresParameter | OffloadParameter)]


def _only_marker(kind: MarkedEntities, request: Request, earlier: list[type[MarkerComponent]]) -> type[MarkerComponent]:
    if request.event_type is not None:
        raise Unsuppliable("a handler can't be given marked entities; mark them, and let a stage's system drain them")
    if earlier:
        raise Unsuppliable("a system drains one marker at the most")
    return kind.marker_of(request)


def _kind_and_request(
    annotation: _Annotation, resources: ResourceManager, event_type: type[Event[Any]] | None
) -> tuple[ParameterKind, Request]:
    kind = annotation.parameter or implied_kind(annotation.kind)
    if kind is None:
        name = getattr(annotation.kind, "__qualname__", None) or repr(annotation.kind)
        raise Unsuppliable(f"nothing supplies {name}; dam.core.system_params lists what can be asked for")
    return kind, Request(annotation.kind, annotation.arguments, annotation.optional, resources, event_type)


def _annotation_of(function: AnyFunction, parameter: inspect.Parameter) -> _Annotation | None:
    """Take a parameter's annotation apart; None for one that keeps its own default."""
    has_default = parameter.default is not inspect.Parameter.empty
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise Unsuppliable("a system's parameters are passed by name, one by one")
    if parameter.annotation is parameter.empty:
        if has_default:
            return None
        raise Unsuppliable("it has no annotation")
    annotation = _resolved(function, parameter)
    if has_default and annotation.parameter is None and implied_kind(annotation.kind) is None:
        return None
    return annotation


def _resolved(function: AnyFunction, parameter: inspect.Parameter) -> _Annotation:
    holder = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return _take_apart(typing.get_type_hints(holder, globalns=names, include_extras=True)[parameter.name])
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise Unsuppliable(f"its annotation does not resolve: {error}") from error


def _take_apart(annotation: Any) -> _Annotation:
    parameters: list[ParameterKind] = []
    arguments: tuple[Any, ...] = ()
    optional = False
    while True:
        annotation, may_be_none = _without_none(annotation)
        optional = optional or may_be_none
        form = typing.get_origin(annotation) or annotation
        if isinstance(form, TypeAliasType):
            arguments = typing.get_args(annotation) or arguments
            annotation = form.__value__[arguments] if _is_open(form) else form.__value__
        elif form is Annotated:
            parameters += [extra for extra in annotation.__metadata__ if _is_parameter(extra)]
            annotation = annotation.__origin__
        else:
            return _Annotation(annotation, parameters[0] if parameters else None, arguments, optional)


def _is_parameter(extra: object) -> bool:
    return hasattr(extra, "compile") and not isinstance(extra, type)


def _is_open(alias: TypeAliasType) -> bool:
    return bool(getattr(alias.__value__, "__parameters__", ()))


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    rest = [part for part in typing.get_args(annotation) if part is not type(None)]
    if len(rest) != 1 or len(rest) == len(typing.get_args(annotation)):
        return annotation, False
    return rest[0], True
