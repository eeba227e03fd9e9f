"""Whether the daemon may push the default branch, tried without changing it.

Owns: ``check_landing_right``. Rule: what a server says of its rules is not asked, for it does not tell all of them; a real push
that cannot succeed is. It tries no file pattern: the commit it offers has its parent's own tree.
"""

from datetime import UTC, datetime

from orch.adapters.git.mirror import GitMirror
from orch.adapters.git.push import Answer, try_push
from orch.adapters.git.runner import Options, signature_env
from orch.core.errors import TransientError
from orch.core.ids import parse_sha
from orch.ports import LandingRight

_AT = datetime(2000, 1, 1, tzinfo=UTC)
"""Fixed, so that asking again makes no further object in the mirror."""
_MESSAGE = b"Ask whether this branch may be pushed\n"


async def check_landing_right(mirror: GitMirror) -> LandingRight:
    """Raises TransientError when main moves meanwhile or the server is away, PermanentError when it does not know the bot."""
    tip = await mirror.fetch()
    options = Options(stdin=_MESSAGE, env=signature_env(mirror.git.identity, _AT))
    made = await mirror.git.run(mirror.path, "commit-tree", f"{tip}^{{tree}}", "-p", tip, options=options)
    ref = f"refs/heads/{mirror.default_branch}"
    answer = await try_push(mirror.git, mirror.path, mirror.remote(), parse_sha(made.word()), ref)
    if "failed to report" in answer.detail:
        raise TransientError("git", "try push", answer.detail)
    match answer.answer:
        case Answer.LOCKED:
            return LandingRight(allowed=True)
        case Answer.REFUSED | Answer.DIRTY:
            return LandingRight(allowed=False, detail=answer.detail)
        case Answer.BEHIND | Answer.TAKEN:
            raise TransientError("git", "try push", f"{mirror.default_branch} moved meanwhile: {answer.detail}")
