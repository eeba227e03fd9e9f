"""Looks a sentence up in the language of a project.

Owns: which languages there are and what an unknown one means. Rule: one catalogue per language, each with the same keys
and placeholders (a test holds it); an unknown language is shown in English, never an error.
"""

from collections.abc import Mapping

from orch.core.render import chat_en, chat_ru, doctor_en, doctor_ru, en, init_en, init_ru, ru

CATALOGUES: Mapping[str, Mapping[str, str]] = {
    "en": {**en.TEXTS, **doctor_en.TEXTS, **chat_en.TEXTS, **init_en.TEXTS},
    "ru": {**ru.TEXTS, **doctor_ru.TEXTS, **chat_ru.TEXTS, **init_ru.TEXTS},
}


def say(language: str, key: str, **values: object) -> str:
    """Return the sentence *key* in *language* (``ru``, ``ru-RU`` and ``RU`` are one), filled in with *values*."""
    base = language.strip().casefold().replace("_", "-").partition("-")[0]
    return CATALOGUES.get(base, CATALOGUES["en"])[key].format_map(values)


def knows(key: str) -> bool:
    """Say whether there is a sentence *key*."""
    return key in CATALOGUES["en"]
