"""Every word the pages show, in one table per language.

Each module here has the tables ``EN`` and ``KO`` of one page (or of the frame around all pages);
they are joined into ``TABLES``. Keys begin with the page's name: ``today.title``. What comes from
the store as prose (rationales, notes, lessons) is shown as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import streamlit as st

LANGUAGES: Mapping[str, str] = {"ko": "한국어", "en": "English"}

_modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
TABLES: Mapping[str, Mapping[str, str]] = {
    "en": {key: text for module in _modules for key, text in module.EN.items()},
    "ko": {key: text for module in _modules for key, text in module.KO.items()},
}


def language() -> str:
    """``ko`` or ``en``: what this browser chose, else what the settings say."""
    return str(st.session_state.get("language", "en"))


def t(key: str, **values: Any) -> str:
    """The text of a key in the language of this browser, ``{name}`` filled in."""
    text = TABLES[language()][key]
    return text.format(**values) if values else text


def word(kind: str, value: object) -> str:
    """The word for a stored value, such as ``word("state", "accepted")``; an unknown value is
    shown with blanks for underscores."""
    if value is None or value == "":
        return "—"
    found = TABLES[language()].get(f"{kind}.{value}")
    return found if found is not None else str(value).replace("_", " ")
