"""Errors as ``application/problem+json``, and what each of them is called over HTTP.

Owns: the mapping from answers and errors to statuses. Rule: an error says what to do in ``detail``; nothing of the
inside (paths, queries, tracebacks) is in it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import assert_never

from quart import Quart, Response, jsonify
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed

from orch.core.errors import ActorDied, ExternalError, MailboxFull, OrchError, StoreError
from orch.core.messages import Answer, Verb

RETRY_AFTER_S = 5


class ProblemError(OrchError):
    """A request that is answered with a problem. Never leaves ``orch.web``."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Build the response that says *detail*."""
    response = jsonify({"type": "about:blank", "status": status, "title": HTTPStatus(status).phrase, "detail": detail})
    response.status_code = status
    response.content_type = "application/problem+json"
    response.headers.update(dict(headers or {}))
    return response


def answer_status(verb: Verb) -> int:
    """Return the HTTP status of an answer to a person's command."""
    match verb:
        case Verb.DONE | Verb.NOTHING:
            return 200
        case Verb.REFUSED:
            return 409
        case Verb.UNKNOWN:
            return 404
        case Verb.UNAVAILABLE:
            return 503
        case Verb.INVALID:
            return 422
        case _:
            assert_never(verb)


def answer_response(answer: Answer, extra: Mapping[str, object] | None = None) -> Response:
    """Build the response to a person's command; *extra* is added to a good one."""
    status = answer_status(answer.verb)
    if status != 200:
        return problem(status, answer.text, {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None)
    return jsonify({"result": answer.verb.value, "text": answer.text, "id": answer.id, **(extra or {})})


def register_problems(app: Quart) -> None:
    """Make every error of *app* a problem."""
    app.register_error_handler(ProblemError, _on_problem)
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(OrchError, _on_orch)


async def _on_problem(error: ProblemError) -> Response:
    return problem(error.status, error.detail, error.headers)


_TEXTS: Mapping[int, str] = {
    404: "There is nothing at this address; /openapi.json lists what there is.",
    405: "This address does not take that method.",
    408: "The body did not arrive in time.",
    413: "The body is larger than 1 MiB.",
    500: "Something went wrong inside; the log has the details.",
}


async def _on_http(error: HTTPException) -> Response:
    status = error.code or 500
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if status in (408, 413):
        headers["Connection"] = "close"
    if isinstance(error, InternalServerError):
        status = 500
    return problem(status, _TEXTS.get(status, error.description or ""), headers)


async def _on_orch(error: OrchError) -> Response:
    """Whatever is busy, slow or broken behind the web is a 503: the sender may try again."""
    match error:
        case ExternalError():
            detail = f"{error.service} did not answer in time; try again."
        case StoreError():
            detail = "The store cannot be read or written now; try again."
        case MailboxFull() | ActorDied():
            detail = "The daemon is too busy to take this now; try again."
        case _:
            return problem(500, _TEXTS[500])
    return problem(503, detail, {"Retry-After": str(RETRY_AFTER_S)})
