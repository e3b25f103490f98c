"""Tables as values: which column holds which part of a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, TypeVar

from trading_core.adapters.duck.codecs import Codec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``attribute`` is the dotted path of its value in the record.

    An empty path is the record itself. ``stored_only`` columns help queries and are not needed to
    make the record again.
    """

    name: str
    codec: Codec
    attribute: str
    stored_only: bool = False

    @property
    def value_of(self) -> Callable[[Any], Any]:
        return attrgetter(self.attribute) if self.attribute else lambda record: record


@dataclass(frozen=True, slots=True)
class Table(Generic[T]):
    """One table and the record it keeps.

    ``key`` names the columns that identify a row. ``build`` makes a record of the values of the
    columns that are not ``stored_only``, by attribute. A ``numbered`` table has a column ``id``
    that counts its rows. ``replaces`` names the columns that a newer row of the same key
    overwrites; the last of them is the time that makes it newer. ``moment`` is the time column in
    the key of a series: a row that is there already is looked for no further back than the oldest
    new row. In other tables it is looked for by the first column of the key.
    """

    name: str
    record: type[T]
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    build: Callable[[dict[str, Any]], T]
    numbered: bool = False
    replaces: tuple[str, ...] = ()
    moment: str = ""
    read_columns: tuple[Column, ...] = field(init=False)
    _decoders: tuple[tuple[str, Callable[[Any], Any]], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        read = tuple(column for column in self.columns if not column.stored_only)
        object.__setattr__(self, "read_columns", read)
        # Made once: a tick decodes some hundred rows.
        decoders = tuple((column.attribute, column.codec.decode) for column in read)
        object.__setattr__(self, "_decoders", decoders)

    def select(self, alias: str = "") -> str:
        """The column list of a query whose rows :meth:`decode` understands."""
        prefix = f"{alias}." if alias else ""
        return ", ".join(
            column.codec.selected.format(column=f'{prefix}"{column.name}"')
            for column in self.read_columns
        )

    def decode(self, row: Sequence[Any]) -> T:
        return self.build(
            {
                attribute: decode(value)
                for (attribute, decode), value in zip(self._decoders, row, strict=True)
            }
        )

    def encode(self, records: Sequence[T]) -> list[list[Any]]:
        """One list of parameters per column."""
        return [
            [column.codec.encode(value) for value in map(column.value_of, records)]
            for column in self.columns
        ]

    def encoded_keys(self, parameters: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """What identifies each row of :meth:`encode`."""
        names = [column.name for column in self.columns]
        return list(zip(*(parameters[names.index(name)] for name in self.key), strict=True))

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def table(
    name: str,
    record: type[T],
    columns: Mapping[str, Codec | tuple[Codec, str]],
    key: str,
    *,
    stored_only: Mapping[str, tuple[Codec, str]] | None = None,
    build: Callable[[dict[str, Any]], T] | None = None,
    numbered: bool = False,
    replaces: tuple[str, ...] = (),
    moment: str = "",
) -> Table[T]:
    """``columns`` maps a name to its codec, and to an attribute where that has another name."""
    made = [
        Column(column, *(spec if isinstance(spec, tuple) else (spec, column)))
        for column, spec in columns.items()
    ]
    made += [
        Column(column, *spec, stored_only=True) for column, spec in (stored_only or {}).items()
    ]
    return Table(
        name,
        record,
        tuple(made),
        tuple(key.split()),
        build or (lambda values: record(**values)),
        numbered,
        replaces,
        moment,
    )
