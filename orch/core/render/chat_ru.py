"""The Russian catalogue of the chat. The same keys and placeholders as the English one."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "why.since_moment": "с {moment}",
    # the tracker
    "chat.human": "👤 ждала людей: {duration}",
    "chat.totals": "Σ {tokens} (из кэша {cached}) · {cost} · запусков: {runs}",
    "chat.finish.done": "🏁 Готово за {wall}: агенты {agents}, вы {human}",
    "chat.finish.cancelled": "🏁 Отменено через {wall}: агенты {agents}, вы {human}",
    "chat.shown": "Речь идёт о",
    # headings of sounding messages, by the alert's kind or the first word of it
    "alert.approval": "📋 План ждёт одобрения",
    "alert.input": "❓ Вопросы ждут ответа",
    "alert.confirm-deploy": "🚀 Развёртывание ждёт подтверждения",
    "alert.deploy-failed": "🔥 Развёртывание не удалось",
    "alert.degraded": "🔥 Развёрнутое работает плохо",
    "alert.rolled-back": "↩️ Развёртывание откачено",
    "alert.rollback-failed": "🔥 Откат не удался",
    "alert.parked": "⛔️ Задача остановлена и ждёт вас",
    "alert.budget": "💸 Бюджет исчерпан",
    "alert.survivor": "⚠️ Процесс не удалось завершить",
    "alert.infrastructure": "⚠️ Задача ждёт чего-то вне её",
    "alert.freeze": "🧊 Проект заморожен",
    "alert.thaw": "🌤 Проект разморожен",
    "alert.red": "🔥 Основная ветка не проходит тесты",
    "alert.reminder": "⏰ Всё ещё ждёт вас",
    "alert.account": "⏸ Агенты на паузе",
    "alert.trouble": "⚠️ У демона неполадки",
    "alert.other": "⚠️ Нужен человек",
    # buttons
    "button.a": "✅ Одобрить",
    "button.r": "↩️ Отклонить",
    "button.c": "🚀 Развернуть",
    "button.s": "🛑 Стоп",
    "button.u": "▶️ Продолжить",
    "button.b": "➕ Увеличить бюджет",
    "button.l": "∞ Продолжить без предела",
    # answers
    "press.stale": "Ничего не изменено: кнопка относится к показанному раньше. Смотрите новейшее сообщение задачи.",
    "press.stranger": "Вас нет среди тех, кто здесь решает; ничего не изменено.",
    "press.ask": "{name}, почему {work_item} отклоняется? Ответьте на это сообщение: причина уйдёт агенту.",
    "press.asked": "Ответьте на вопрос бота, назвав причину.",
    "press.unknown": "Ничего не изменено: кнопка от другой версии или из другого чата.",
    "press.later": "Ничего не сделано, попробуйте чуть позже: {detail}",
    "press.no_reason": "Причина пуста; ответьте на вопрос ещё раз.",
    "press.no_raise": "Бюджет задачи не настроен, поэтому не на что его увеличить; используйте orch budget.",
}
