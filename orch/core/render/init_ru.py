"""The Russian catalogue of `orch init`: what each step came to, and under ``.do`` what is left to a person. Plain text."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "init.outcome.done": "сделано",
    "init.outcome.already": "уже так",
    "init.outcome.skipped": "пропущено",
    "init.outcome.manual": "ВРУЧНУЮ",
    "init.outcome.failed": "НЕ СДЕЛАНО",
    "init.title.config": "запись",
    "init.title.board": "доска",
    "init.title.columns": "статусы",
    "init.title.token": "токен",
    "init.title.marking": "слияние",
    "init.title.protection": "защита",
    "init.title.hook": "вебхук",
    "init.title.plane_hook": "вебхук Plane",
    "init.title.secrets": "секреты",
    "init.title.doctor": "осмотр",
    "init.well": "Всё настроено. Запустите демон: {command}",
    "init.unwell": "Настроено ещё не всё. Сделайте то, что указано выше, и повторите команду: она продолжит с того же места.",
    "init.failed": "Не вышло: {detail}",
    "init.failed.do": "Исправьте это и повторите команду; сделанное остаётся как есть.",
    "init.untried": "не пробовали: {detail}",
    "init.untried.do": "Повторите команду, когда это будет исправлено.",
    # the entry
    "init.config.done": "В {path} теперь есть запись проекта {name}; больше в нём ничего не изменено.",
    "init.config.settings": "В {path} теперь есть настройки {names}; больше в нём ничего не изменено.",
    "init.config.already": "В {path} есть запись проекта {name}; она оставлена как есть.",
    "init.config.differs": "В {path} есть запись проекта {name} с другими значениями: {names}. Они оставлены.",
    "init.config.differs.do": "Исправьте файл сами, если нужно другое.",
    "init.config.no_test": "В записи {name} нет test_command: проверить было бы нечем, и проект не запускается.",
    "init.config.no_test.do": 'Добавьте test_command = ["программа", "аргумент", …] в его запись в {path}.',
    # Plane
    "init.board.already": "Plane знает токен как {user}; проект там: {project}.",
    "init.board.unseen": "Пользователь токена ({user}) не видит проекта {project} в рабочем пространстве {workspace}.",
    "init.board.unseen.do": "Сделайте его участником (Member) проекта или исправьте board_project. Он видит: {seen}",
    "init.columns.done": "Созданы на доске: {names}.",
    "init.columns.already": "На доске есть все нужные статусы.",
    "init.columns.skipped": "Статусы создавать не просили.",
    "init.columns.partly": "Созданы: {names}. Не созданы: {missing}. {detail}",
    "init.columns.partly.do": "Исправьте это и повторите команду: она создаст остальные.",
    "init.columns.refused": "Созданы: {names}. Невозможно: {missing}: имя — id, которого нет, или значит другой статус.",
    "init.columns.refused.do": "Исправьте statuses в записи проекта.",
    # Gitea
    "init.token.already": "Токен видит репозиторий {repo}, и все нужные права у него есть.",
    "init.token.missing": "Токену не хватает прав: {scopes}.",
    "init.token.missing.do": "Выпустите боту токен с правами write:repository, write:issue и read:user и задайте его как "
    "ORCH_GITEA_TOKEN.",
    "init.marking.done": "Запросы на слияние в {repo} теперь можно помечать слитыми.",
    "init.marking.already": "Запросы на слияние в {repo} можно помечать слитыми.",
    "init.marking.manual": "Бот не администратор {repo} и не может менять, как там сливаются запросы.",
    "init.marking.manual.do": "От имени администратора: PATCH {url} с allow_manual_merge = true и "
    "autodetect_manual_merge = false, "
    "или сделайте бота администратором и повторите команду.",
    "init.marking.trouble": "Сервер не принял {names} для {repo}.",
    "init.marking.trouble.do": "Задайте их на странице настроек репозитория.",
    "init.protection.done": "{branch} теперь защищена: силой её не сдвинуть, а бот может в неё отправлять.",
    "init.protection.already": "{branch} защищена, и бот может в неё отправлять.",
    "init.protection.skipped": "Защищать {branch} не просили.",
    "init.protection.manual": "Бот не администратор {repo} и не может защитить {branch}. Защита желательна, но не обязательна.",
    "init.protection.manual.do": "От имени администратора: POST {url}/branch_protections с rule_name = {branch}, "
    "enable_push = true, "
    "enable_push_whitelist = true и ботом в push_whitelist_usernames.",
    "init.protection.trouble": "В защите {branch} есть то, что не пропустит посадку: {names}.",
    "init.protection.trouble.do": "Уберите это из правила: никакая посадка его не обойдёт.",
    "init.hook.done": "Вебхук на {url} создан.",
    "init.hook.mended": "Вебхук на {url} есть, включён и подписывается секретом.",
    "init.hook.dropped": "Вебхук на {url} есть, но сервер не знает {names}: это узнаётся опросом.",
    "init.hook.doubled": "На один адрес ведёт несколько вебхуков: {names}. Верен первый.",
    "init.hook.doubled.do": "Удалите остальные на странице репозитория: Settings → Webhooks.",
    "init.hook.manual": "Бот не администратор {repo} и не может создать вебхук.",
    "init.hook.manual.do": "От имени администратора: Settings → Webhooks → Add webhook → Gitea. Target URL: {url} · "
    "HTTP method: POST · "
    "POST content type: application/json · Secret: значение ORCH_GITEA_WEBHOOK_SECRET · Trigger on: {events} · Active: да",
    "init.hook.no_url": "Вебхук не создан: неизвестно, где Gitea найдёт демон.",
    "init.hook.no_url.do": "Передайте --public-url, адрес демона, каким его видит Gitea, и повторите команду.",
    "init.hook.no_secret": "Вебхук не создан: его нечем подписывать.",
    "init.hook.no_secret.do": "Задайте ORCH_GITEA_WEBHOOK_SECRET (или …_FILE), длинный случайный текст, и повторите команду.",
    # by hand
    "init.plane_hook.manual": "Вебхук Plane создаётся вручную: никакой токен API его не создаст и не увидит.",
    "init.plane_hook.manual.do": "От имени администратора пространства {workspace}: Workspace settings → Webhooks → Add "
    "webhook. "
    "Payload URL: {url} · Events: Let me select individual events → Work items, Work item comments · "
    "Secret key: показывается один раз (plane_wh_…), задайте его как ORCH_PLANE_WEBHOOK_SECRET. Если Plane не принимает адрес: "
    "WEBHOOK_ALLOWED_IPS или WEBHOOK_ALLOWED_HOSTS у его служб api и worker.",
    "init.plane_hook.already": "ORCH_PLANE_WEBHOOK_SECRET задан. Есть ли вебхук на {url} и включён ли он, видно только на "
    "странице "
    "Plane: Workspace settings → Webhooks.",
    "init.secrets.already": "Все нужные секреты есть в окружении.",
    "init.secrets.manual": "Нет в окружении: {names}.",
    "init.secrets.manual.do": "Задайте каждый переменной или …_FILE с путём к файлу, который читает только пользователь "
    "демона. "
    "Свой секрет вебхука: umask 077; openssl rand -hex 24 > FILE. В файле TOML секретов не бывает.",
    # doctor
    "init.doctor.done": "orch doctor неисправностей не находит.",
    "init.doctor.faults": "orch doctor находит неисправностей: {count}.",
    "init.doctor.faults.do": "Ниже у каждой сказано, что делать. Проверить снова: {command}",
    # questions
    "init.ask.forge": "Где код: на этой машине (local) или на Gitea (gitea)?",
    "init.ask.board": "Где карточки: на встроенной доске (local) или на Plane (plane)?",
    "init.ask.repo_local": "Путь к репозиторию",
    "init.ask.repo_gitea": "Репозиторий на Gitea (владелец/имя)",
    "init.ask.gitea_url": "Адрес Gitea",
    "init.ask.plane_url": "Адрес Plane",
    "init.ask.plane_workspace": "Рабочее пространство Plane (имя в адресах его страниц)",
    "init.ask.public_url": "Адрес демона, каким его видят службы",
    "init.ask.project": "Какой это проект на Plane? Номер в списке",
    "init.ask.name": "Имя проекта здесь",
    "init.ask.prefix": "Префикс задач, как в SHOP-1",
    "init.ask.branch": "Ветка, в которую попадает работа",
    "init.ask.test": "Команда, которая должна пройти, прежде чем что-то попадёт в ветку",
    "init.ask.test_found": "Команда, которая должна пройти, прежде чем что-то попадёт в ветку (подсказывает {because})",
    "init.ask.columns": "Создать на доске недостающие статусы ({names})?",
    "init.ask.all_columns": "Создать и остальные, которые заменял бы другой ({names})?",
    "init.ask.protect": "Защитить {branch} на Gitea, чтобы никто не сдвигал её силой, а отправляли бот и те, кого вы укажете?",
}
