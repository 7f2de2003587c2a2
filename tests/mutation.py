"""Mutation testing of the pure objects: small faults in `sleepwalker/resilience/`, one at a time.

::

    python -m tests.mutation                  # every module
    python -m tests.mutation quota breaker    # some
    python -m tests.mutation quota:67         # what is on one line

Each mutant is the module with one fault (a comparison flipped, a line dropped, a constant off by
one ...). A process of its own imports it in place of the module and runs the tests that mirror the
module until one fails. A mutant that none fails for has survived: a rule that no test holds, or a
fault that changes nothing, which `EQUIVALENT` then has to say.

Rules:

1. No file is changed: a mutant is made in memory, on import.
2. Not mutated are annotations, decorators, docstrings, imports, `__slots__` and `__all__`: what
   they say is for readers and checkers.
3. A mutant that hangs counts as killed: after `PATIENCE` seconds that it waits in a test, or that
   it works at all. Both are far more than any test takes on a busy machine.
"""

from __future__ import annotations

import ast
import copy
import faulthandler
import gc
import importlib
import importlib.util
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import deque
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import CodeType

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = "sleepwalker.resilience"
PATIENCE: Final = 60
"""Seconds of waiting in one test, or of work in all."""
WORKERS: Final = 2

TESTS: Final = {"layers": ("composition",), "limiter": ("limiter", "adaptive_limit")}
"""The tests of a module, where they are not those of its name."""

EQUIVALENT: Final = {
    ("breaker", "self.generation = -1", "1  →  2"): "any number below 0 says the same",
    ("breaker", "self.generation = -1", "1  →  0"): "it was open before: 0 is from before that",
    ("breaker", "if self.generation >= 0:", "0  →  -1"): "what was not acquired is of no time",
    (
        "breaker",
        "generation, permit.generation = permit.generation, -1",
        "1  →  2",
    ): "any number below 0 says the same",
    (
        "breaker",
        "def acquire(self, patience: float = 0.0) -> None:",
        "0.0  →  1.0",
    ): "patience is nothing to a breaker",
    ("breaker", "def acquire(self, patience: float = 0.0) -> None:", "0.0  →  -1.0"): "the same",
    ("breaker", "self._until = 0.0", "0.0  →  1.0"): "it is set before it is looked at",
    ("breaker", "self._until = 0.0", "0.0  →  -1.0"): "the same",
    ("breaker", "self._until = 0.0", "self._until = 0.0  →  pass"): "the same",
    (
        "breaker",
        "self._slice = 0",
        "0  →  1",
    ): "the first count forgets nothing, there being nothing",
    ("breaker", "self._slice = 0", "0  →  -1"): "the same",
    (
        "breaker",
        "self._generation += 1",
        "1  →  2",
    ): "a number that no other permit has, all the same",
    (
        "deadline",
        "return self if self.at <= other.at else other",
        "self.at <= other.at  →  self.at < other.at",
    ): "either of two that are at once",
    (
        "deadline",
        "return self if self.remaining() <= other.remaining() else other",
        "self.remaining() <= other.remaining()  →  self.remaining() < other.remaining()",
    ): "the same",
    (
        "deadline",
        '_ambient: ContextVar[Deadline | None] = ContextVar("sleepwalker_deadline", default=None)',
        "'sleepwalker_deadline'  →  'XXsleepwalker_deadline'",
    ): "a name that only a debugger shows",
    (
        "hosts",
        'Made = TypeVar("Made")',
        "'Made'  →  'XXMade'",
    ): "a name that only type checkers read",
    (
        "hosts",
        "state = self._used.get(key) or self._alive.get(key)",
        "self._used.get(key) or self._alive.get(key)  →  self._alive.get(key)",
    ): "who was used last is alive; this finds it sooner",
    (
        "layers",
        "def acquire(self, patience: float = 0.0) -> None:",
        "0.0  →  1.0",
    ): "a protocol's default is read by type checkers",
    ("layers", "def acquire(self, patience: float = 0.0) -> None:", "0.0  →  -1.0"): "the same",
    (
        "limiter",
        "if not permit.held and permit in self._queue:",
        "not permit.held and permit in self._queue  →  permit in self._queue",
    ): "who has a place is not in the queue; this saves looking for it",
    (
        "policy",
        (
            "_TOKEN = frozenset(\"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
            'ABCDEFGHIJKLMNOPQRSTUVWXYZ")'
        ),
        (
            '"!#$%&\'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  →  '
            '"XX!#$%&\'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"'
        ),
    ): "X is one of them already",
    (
        "policy",
        "return min(self.cap, base * 2.0 ** min(retry - 1, 60))",
        "60  →  61",
    ): "a bound against overflow, far beyond every cap",
    ("policy", "return min(self.cap, base * 2.0 ** min(retry - 1, 60))", "60  →  59"): "the same",
    (
        "policy",
        "if whole is not None and name not in _FIELDS:",
        "whole is not None and name not in _FIELDS  →  whole is not None",
    ): "there is no setting yet whose name begins with that of a value of its own",
    (
        "policy",
        "wrong = [s for s in statuses if isinstance(s, bool) or not isinstance(s, int)]",
        "isinstance(s, bool) or not isinstance(s, int)  →  not isinstance(s, int)",
    ): "True and False are 1 and 0, which are no statuses either",
    (
        "policy",
        "return f\"{'an' if cls.__name__[0] in 'AEIO' else 'a'} {cls.__name__}\"",
        "'AEIO'  →  'XXAEIO'",
    ): "no class has a name that begins with X",
    (
        "quota",
        "self._tokens += tokens if tokens < room else room",
        "tokens < room  →  tokens <= room",
    ): "either is added where they are the same",
}
"""The mutants that change nothing that can be told, and why."""

PRELOADED: Final = (
    "hypothesis.stateful",
    "opentelemetry.trace",
    "prometheus_client",
    "pytest",
    "requests",
    "structlog",
    "tenacity",
)
"""What all the processes import, imported once."""

# --- the faults ------------------------------------------------------------------------------

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_NAMES: Final = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "append": "appendleft",
    "popleft": "pop",
}
_WITHOUT: Final = frozenset({"strip", "lower", "upper"})
"""Methods whose call is left out."""
_SKIPPED_FIELDS: Final = frozenset({"annotation", "returns", "decorator_list", "ctx", "args"})
_SKIPPED_NAMES: Final = frozenset({"__slots__", "__all__"})

Slot = tuple[Any, Any]
"""Where a node hangs: a list and an index, or a node and the name of a field."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one fault."""

    module: str
    number: int
    """Which of the module's it is, in the order of its source."""
    line: int
    source: str
    """That line, without its comment."""
    change: str
    """What was there, and what is there now."""

    @property
    def equivalence(self) -> str | None:
        """Why it changes nothing, if it does."""
        return EQUIVALENT.get((self.module, self.source, self.change))

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line}: {self.change}"


def faults(tree: ast.Module) -> Iterator[tuple[Slot, ast.AST, ast.AST]]:
    """Every place where a fault can be, with the node that is there and one that is faulty."""
    for slot, node, inside in _nodes(tree, inside=False):
        for fault in (*_in_expression(node), *(_in_statement(node) if inside else ())):
            yield slot, node, ast.fix_missing_locations(ast.copy_location(fault, node))


def _nodes(parent: ast.AST, *, inside: bool) -> Iterator[tuple[Slot, ast.AST, bool]]:
    """All nodes that may be mutated, where they hang, and whether that is within a function."""
    inside = inside or isinstance(parent, ast.FunctionDef)
    for field, value in ast.iter_fields(parent):
        if field in _SKIPPED_FIELDS and not isinstance(parent, ast.Call):
            if isinstance(value, ast.arguments):
                yield from _nodes(value, inside=False)
            continue
        listed = isinstance(value, list)
        for index, node in enumerate(value if listed else [value]):
            if isinstance(node, ast.AST) and not _is_skipped(node):
                yield ((value, index) if listed else (parent, field)), node, inside
                yield from _nodes(node, inside=inside)


def _is_skipped(node: ast.AST) -> bool:
    """Whether nothing in a node is mutated: rule 2."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign):
        return any(isinstance(t, ast.Name) and t.id in _SKIPPED_NAMES for t in node.targets)
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.Import | ast.ImportFrom)


def _changed(node: ast.AST, **fields: Any) -> Any:
    """A copy of a node with other fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _each_left_out(nodes: Sequence[Any]) -> Iterator[list[Any]]:
    for index in range(len(nodes)):
        yield [*nodes[:index], *nodes[index + 1 :]]


def _in_expression(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901, PLR0912 - a table of cases
    match node:
        case ast.Compare(ops=ops):
            for index, operator in enumerate(ops):
                for other in _COMPARISONS[type(operator)]:
                    yield _changed(node, ops=[*ops[:index], other(), *ops[index + 1 :]])
        case ast.BinOp(op=operator) | ast.AugAssign(op=operator) if type(operator) in _OPERATORS:
            yield _changed(node, op=_OPERATORS[type(operator)]())
        case ast.BoolOp(op=operator, values=values):
            yield _changed(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
            for fewer in _each_left_out(values):
                yield _changed(node, values=fewer) if len(fewer) > 1 else fewer[0]
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield _changed(node, body=orelse, orelse=body)
        case ast.Constant(value=bool() as value):
            yield _changed(node, value=not value)
        case ast.Constant(value=int() | float() as value):
            yield _changed(node, value=value + 1)
            yield _changed(node, value=value - 1)
        case ast.Constant(value=str() as text):
            yield _changed(node, value=f"XX{text}")
        case ast.Set(elts=elements) | ast.Tuple(elts=elements, ctx=ast.Load()) if elements:
            for fewer in _each_left_out(elements):
                yield _changed(node, elts=fewer)
        case ast.comprehension(ifs=[condition]):
            yield _changed(node, ifs=[_negated(condition)])
        case ast.Call(func=ast.Attribute(value=text, attr=method)) if method in _WITHOUT:
            yield text
    match node:
        case ast.Call(keywords=[_, *_] as keywords):
            for fewer in _each_left_out(keywords):
                yield _changed(node, keywords=fewer)
        case ast.Name(id=name) if name in _NAMES:
            yield _changed(node, id=_NAMES[name])
        case ast.Attribute(attr=name) if name in _NAMES:
            yield _changed(node, attr=_NAMES[name])
        case ast.If(test=condition) | ast.While(test=condition):
            if not isinstance(condition, ast.Compare | ast.UnaryOp):
                yield _changed(node, test=_negated(condition))


def _negated(condition: ast.expr) -> ast.UnaryOp:
    return ast.UnaryOp(op=ast.Not(), operand=condition)


def _in_statement(node: ast.AST) -> Iterator[ast.AST]:
    """Drop a line; of a block, drop what it does around its lines."""
    match node:
        case ast.With(body=body):
            yield ast.If(test=ast.Constant(value=True), body=body, orelse=[])
        case (
            ast.Expr()
            | ast.Assign()
            | ast.AnnAssign()
            | ast.AugAssign()
            | ast.Return()
            | ast.Raise()
            | ast.Continue()
            | ast.Break()
        ):
            yield ast.Pass()


def _told(node: ast.AST) -> str:
    """A node in a few words."""
    if isinstance(node, ast.comprehension):
        return "if " + " if ".join(map(ast.unparse, node.ifs))
    text = ast.unparse(node).strip()
    if isinstance(node, ast.If | ast.While | ast.With):
        text = text.partition("\n")[0]
    return " ".join(text.split()) or "nothing"


def _is_different(was: ast.AST, now: ast.AST) -> bool:
    return ast.dump(was) != ast.dump(now)


def _put(slot: Slot, node: ast.AST) -> None:
    holder, key = slot
    if isinstance(holder, list):
        holder[key] = node
    else:
        setattr(holder, key, node)


def mutants(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module."""
    found, lines = [], source.splitlines()
    for number, (_, was, now) in enumerate(faults(ast.parse(source))):
        line = next(each.lineno for each in ast.walk(was) if isinstance(each, ast.expr | ast.stmt))
        text = lines[line - 1].partition("  #")[0].strip()
        found.append(Mutant(module, number, line, text, f"{_told(was)}  →  {_told(now)}"))
    return found


def mutated(source: str, number: int) -> ast.Module:
    """A module's tree with one of its faults."""
    tree = ast.parse(source)
    for each, (slot, _, now) in enumerate(faults(tree)):
        if each == number:
            _put(slot, now)
            return tree
    raise LookupError(number)


# --- running the tests against one -----------------------------------------------------------


class _Mutating(SourceFileLoader):
    """Finds one module, and loads it with a fault."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        super().__init__(name, str(path))
        self._tree = tree

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Find it, as `sys.meta_path` asks."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the loader's interface
        return compile(self._tree, self.path, "exec")


def path_of(module: str) -> Path:
    """Where a module is: in this checkout, or where the package is installed."""
    package, _, folder = PACKAGE.partition(".")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], folder, f"{module}.py")


def tests_of(module: str) -> list[str]:
    """The files that test a module."""
    return [f"tests/resilience/test_{name}.py" for name in TESTS.get(module, (module,))]


def _survives(module: str, number: int | None) -> bool:
    """Whether all tests pass; runs in a process that was forked for it."""
    import pytest  # noqa: PLC0415 - by now imported already; not at all where mutants are only made
    from hypothesis import HealthCheck, Phase, settings  # noqa: PLC0415 - the same

    if number is not None:
        path = path_of(module)
        tree = mutated(path.read_text(encoding="utf-8"), number)
        sys.meta_path.insert(0, _Mutating(f"{PACKAGE}.{module}", path, tree))
    # The same examples each time, and no search for a smaller one: it is enough that one fails.
    settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    settings.load_profile("mutants")
    options = [
        "--exitfirst",
        "--quiet",
        "--assert",
        "plain",
        "--timeout",
        str(PATIENCE),
        "--capture",
        "no",
        "--noconftest",
    ]
    plugins = ["-p", "no:cacheprovider", "-p", "no:faulthandler"]
    return pytest.main([*options, *plugins, *tests_of(module)]) == pytest.ExitCode.OK


def _begin(module: str, number: int | None) -> int:
    """Start a process that ends with 0 when the mutant has survived."""
    sys.stdout.flush()
    if (pid := os.fork()) != 0:
        return pid
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if number is not None:
            for standard in (0, 1, 2):
                os.dup2(nowhere, standard)
        # Should even the tests' own timeout hang.
        faulthandler.dump_traceback_later(10 * PATIENCE, exit=True)
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
        code = 0 if _survives(module, number) else 1
    except BaseException:  # noqa: BLE001 - whatever it is, this process goes no further
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def survivors(wanted: Iterable[Mutant]) -> list[Mutant]:
    """Run the tests against each, several at a time, and give those that none failed for."""
    waiting, alive = deque(wanted), list[Mutant]()
    running: dict[int, Mutant] = {}
    while waiting or running:
        while waiting and len(running) < WORKERS:
            mutant = waiting.popleft()
            running[_begin(mutant.module, mutant.number)] = mutant
        pid, status = os.wait()
        mutant = running.pop(pid)
        if status == 0:
            alive.append(mutant)
            why = mutant.equivalence
            print(f"{mutant}  {f'({why})' if why else 'SURVIVED'}", flush=True)
    return sorted(alive, key=lambda each: each.number)


def _passes(module: str) -> bool:
    """Whether the tests pass without any fault: else nothing can be learnt from them."""
    pid = _begin(module, None)
    return os.waitpid(pid, 0)[1] == 0


def main(wanted: Sequence[str]) -> int:
    """Print the score of each module, and the survivors; 1 when one is not known for equivalent."""
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as compiled:
        # So that the processes don't each compile what the first has, whatever the environment
        # says of it; and nothing of it stays.
        sys.dont_write_bytecode, sys.pycache_prefix = False, compiled
        for name in PRELOADED:
            importlib.import_module(name)
        # The processes share what is here, and need not look through it for garbage.
        gc.freeze()
        return max([_report(*each.partition(":")[::2]) for each in wanted])


def _report(module: str, line: str = "") -> int:
    """Test one module's mutants and print what came of it; 1 when more is to be said of any."""
    if not all((ROOT / name).is_file() for name in tests_of(module)):
        print(f"{module}: has no tests")
        return 1
    if not _passes(module):
        print(f"{module}: its tests fail without any mutant")
        return 1
    began = time.monotonic()
    made = mutants(module, path_of(module).read_text(encoding="utf-8"))
    made = [mutant for mutant in made if line in {"", str(mutant.line)}]
    alive = survivors(made)
    explained = [each for each in alive if each.equivalence]
    effective = len(made) - len(explained)
    killed = len(made) - len(alive)
    print(
        f"{module}: {killed} of {effective} killed ({killed / max(effective, 1):.1%}), "
        f"{len(explained)} equivalent, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return int(len(alive) > len(explained))


if __name__ == "__main__":
    everything = [
        path.stem
        for path in sorted(path_of("quota").parent.glob("*.py"))
        if path.stem != "__init__"
    ]
    sys.exit(main(sys.argv[1:] or everything))
