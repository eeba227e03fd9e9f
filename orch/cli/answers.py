"""Who answers the questions of `orch init`: a person at a terminal, or nobody.

Owns: ``Answers`` and its two kinds. Rule: a question that an option has answered is never asked; without a person the default
is the answer, and where there is none ConfigError names the option.
"""

from collections.abc import Sequence
from typing import Protocol, final

import typer

from orch.cli.tables import plain
from orch.core.errors import ConfigError
from orch.core.render.catalogue import say


class Answers(Protocol):
    def text(self, key: str, option: str, default: str | None = None, **values: str) -> str:
        """Return the answer to the question *key*, which *option* answers beforehand."""

    def yes(self, key: str, default: bool, **values: str) -> bool: ...

    def choice(self, key: str, option: str, listed: Sequence[str]) -> int:
        """Return the place of one of *listed*."""


@final
class Nobody:
    """Defaults alone."""

    # ruff: noqa: ARG002 - nobody reads the questions

    def text(self, key: str, option: str, default: str | None = None, **values: str) -> str:
        if default is None:
            raise ConfigError(f"{option} is needed where nobody is asked (--yes)")
        return default

    def yes(self, key: str, default: bool, **values: str) -> bool:
        return default

    def choice(self, key: str, option: str, listed: Sequence[str]) -> int:
        if len(listed) != 1:
            told = "; ".join(listed) or "none"
            raise ConfigError(f"{option} is needed where nobody is asked (--yes); there are: {told}")
        return 0


@final
class Person:
    """Somebody at a terminal. Questions go to standard error, so that standard output is the result alone."""

    def __init__(self, language: str) -> None:
        self._language = language

    def text(self, key: str, option: str, default: str | None = None, **values: str) -> str:
        return str(typer.prompt(self._say(key, values), default=default, err=True)).strip()

    def yes(self, key: str, default: bool, **values: str) -> bool:
        return typer.confirm(self._say(key, values), default=default, err=True)

    def choice(self, key: str, option: str, listed: Sequence[str]) -> int:
        if not listed:
            raise ConfigError(f"there is nothing to choose from; name it with {option}")
        for number, each in enumerate(listed, 1):
            typer.echo(f"{number:3}  {plain(each, 200)}", err=True)
        while True:
            said = self.text(key, option, "1" if len(listed) == 1 else None)
            if said.isascii() and said.isdigit() and 0 < int(said[:9]) <= len(listed):
                return int(said) - 1

    def _say(self, key: str, values: dict[str, str]) -> str:
        return plain(say(self._language, f"init.ask.{key}", **values), 2000)
