"""The English catalogue of `orch init`: what each step came to, and under ``.do`` what is left to a person. Plain text."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "init.outcome.done": "done",
    "init.outcome.already": "was so",
    "init.outcome.skipped": "left out",
    "init.outcome.manual": "BY HAND",
    "init.outcome.failed": "NOT DONE",
    "init.title.config": "entry",
    "init.title.board": "board",
    "init.title.columns": "statuses",
    "init.title.token": "token",
    "init.title.marking": "merging",
    "init.title.protection": "protection",
    "init.title.hook": "webhook",
    "init.title.plane_hook": "Plane webhook",
    "init.title.secrets": "secrets",
    "init.title.doctor": "doctor",
    "init.well": "All is set up. Start the daemon: {command}",
    "init.unwell": "Not all is set up yet. Do what stands above, then run the same command again: it goes on where it stopped.",
    "init.failed": "{detail}",
    "init.failed.do": "Mend that and run the same command again; what is done already stays as it is.",
    "init.untried": "not tried: {detail}",
    "init.untried.do": "Run the same command again once that is mended.",
    # the entry
    "init.config.done": "{path} has the entry of project {name} now; nothing else in it was changed.",
    "init.config.settings": "{path} has the settings {names} now; nothing else in it was changed.",
    "init.config.already": "{path} has the entry of project {name}; it is left as it is.",
    "init.config.differs": "{path} has the entry of project {name}, with other values than were asked for: {names}. They "
    "are left.",
    "init.config.differs.do": "Edit the file by hand where that is not what you want.",
    "init.config.no_test": "The entry of {name} has no test_command: nothing could be landed, so that the project is not "
    "started.",
    "init.config.no_test.do": 'Add test_command = ["program", "argument", …] to its entry in {path}.',
    # Plane
    "init.board.already": "Plane knows the token as {user}; the project there is {project}.",
    "init.board.unseen": "The token's user ({user}) does not see the project {project} of the workspace {workspace}.",
    "init.board.unseen.do": "Make that user a Member of the project, or correct board_project. It sees: {seen}",
    "init.columns.done": "Created on the board: {names}.",
    "init.columns.already": "The board has every status that is needed.",
    "init.columns.skipped": "No status was to be created.",
    "init.columns.partly": "Created: {names}. Not created: {missing}. {detail}",
    "init.columns.partly.do": "Mend that and run the same command again: it creates the rest.",
    "init.columns.refused": "Created: {names}. Not possible: {missing}: the name is an id of no column, or means another status.",
    "init.columns.refused.do": "Correct statuses in the project's entry.",
    # Gitea
    "init.token.already": "The token sees the repository {repo} and has every scope that is needed.",
    "init.token.missing": "The token lacks the scopes {scopes}.",
    "init.token.missing.do": "Make a token with write:repository, write:issue and read:user for the bot, and give it as "
    "ORCH_GITEA_TOKEN.",
    "init.marking.done": "Pull requests of {repo} can be marked as merged now.",
    "init.marking.already": "Pull requests of {repo} can be marked as merged.",
    "init.marking.manual": "The bot does not administer {repo}, and so may not change how pull requests are merged there.",
    "init.marking.manual.do": "As an administrator: PATCH {url} with allow_manual_merge = true and "
    "autodetect_manual_merge = false, "
    "or make the bot an administrator and run the command again.",
    "init.marking.trouble": "The server did not take {names} for {repo}.",
    "init.marking.trouble.do": "Set them on the repository's settings page.",
    "init.protection.done": "{branch} is protected now: nobody can force it, and the bot may push it.",
    "init.protection.already": "{branch} is protected, and the bot may push it.",
    "init.protection.skipped": "{branch} was not to be protected.",
    "init.protection.manual": "The bot does not administer {repo}, and so may not protect {branch}. Protection is recommended, "
    "not required.",
    "init.protection.manual.do": "As an administrator: POST {url}/branch_protections with rule_name = {branch}, enable_push "
    "= true, "
    "enable_push_whitelist = true and the bot in push_whitelist_usernames.",
    "init.protection.trouble": "The protection of {branch} has what refuses landings: {names}.",
    "init.protection.trouble.do": "Take that out of the rule, or let the bot do it: no landing gets past it.",
    "init.hook.done": "The webhook to {url} is made.",
    "init.hook.mended": "The webhook to {url} is there, active, and signed with the secret.",
    "init.hook.dropped": "The webhook to {url} is there, but this server does not know {names}: what they would tell is polled.",
    "init.hook.doubled": "There is more than one webhook to the same address: {names}. The first one is right.",
    "init.hook.doubled.do": "Delete the others on the repository's page Settings → Webhooks.",
    "init.hook.manual": "The bot does not administer {repo}, and so may not make a webhook.",
    "init.hook.manual.do": "As an administrator, Settings → Webhooks → Add webhook → Gitea. Target URL: {url} · HTTP "
    "method: POST · "
    "POST content type: application/json · Secret: the value of ORCH_GITEA_WEBHOOK_SECRET · Trigger on: {events} · Active: yes",
    "init.hook.no_url": "No webhook was made: it is not known where Gitea reaches the daemon.",
    "init.hook.no_url.do": "Pass --public-url, the daemon's address as Gitea sees it, and run the command again.",
    "init.hook.no_secret": "No webhook was made: there is no secret to sign it with.",
    "init.hook.no_secret.do": "Set ORCH_GITEA_WEBHOOK_SECRET (or …_FILE) to a long random text and run the command again.",
    # by hand
    "init.plane_hook.manual": "A webhook of Plane is made by hand: no API token can make or see one.",
    "init.plane_hook.manual.do": "As an administrator of the workspace {workspace}: Workspace settings → Webhooks → Add "
    "webhook. "
    "Payload URL: {url} · Events: Let me select individual events → Work items, Work item comments · "
    "Secret key: shown once (plane_wh_…), give it as ORCH_PLANE_WEBHOOK_SECRET. Where Plane refuses the address: set "
    "WEBHOOK_ALLOWED_IPS or WEBHOOK_ALLOWED_HOSTS on its api and worker services.",
    "init.plane_hook.already": "ORCH_PLANE_WEBHOOK_SECRET is set. That the webhook to {url} is there and on, only its "
    "page on Plane "
    "can show: Workspace settings → Webhooks.",
    "init.secrets.already": "Every secret that is needed is in the environment.",
    "init.secrets.manual": "Not in the environment: {names}.",
    "init.secrets.manual.do": "Set each as a variable, or as …_FILE to the path of a file that only the daemon's user "
    "can read. "
    "A webhook secret of your own: umask 077; openssl rand -hex 24 > FILE. Secrets never stand in the TOML file.",
    # doctor
    "init.doctor.done": "orch doctor finds no fault.",
    "init.doctor.faults": "orch doctor finds {count} fault(s).",
    "init.doctor.faults.do": "Each says below what to do. Look again with: {command}",
    # questions
    "init.ask.forge": "Where is the code: on this machine (local) or on Gitea (gitea)?",
    "init.ask.board": "Where are the cards: on the built-in board (local) or on Plane (plane)?",
    "init.ask.repo_local": "Path of the repository",
    "init.ask.repo_gitea": "Repository on Gitea (owner/name)",
    "init.ask.gitea_url": "Address of Gitea",
    "init.ask.plane_url": "Address of Plane",
    "init.ask.plane_workspace": "Workspace on Plane (the slug in the address of its pages)",
    "init.ask.public_url": "The daemon's address as the services see it",
    "init.ask.project": "Which project on Plane is it? Its number in the list",
    "init.ask.name": "Name of the project here",
    "init.ask.prefix": "Prefix of its tasks, as in SHOP-1",
    "init.ask.branch": "Branch where work lands",
    "init.ask.test": "Command that must pass before anything lands",
    "init.ask.test_found": "Command that must pass before anything lands ({because} suggests it)",
    "init.ask.columns": "Create the missing statuses on the board ({names})?",
    "init.ask.all_columns": "Create the others too, for which another one would stand ({names})?",
    "init.ask.protect": "Protect {branch} on Gitea, so that nobody forces it and only the bot and whom you list push it?",
}
