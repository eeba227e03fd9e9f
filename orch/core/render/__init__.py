"""Every sentence that a person reads: typed values → text, in the language of the project.

Owns: comments, replies, pull request and request texts, figures; one catalogue per language (``en``, ``ru``). It decides
nothing and reads nothing. Rule: pure; whatever a board, an agent or a command said is passed through ``quote`` first.
"""

from orch.core.render.comments import (
    render_cancelled,
    render_confirm_deploy,
    render_done,
    render_finding,
    render_landed,
    render_parked,
    render_plan_ready,
    render_qg0_failed,
    render_qg0_problem,
    render_questions,
    render_resumed,
    render_retry,
    render_returned,
    render_run_finished,
    render_run_launched,
)
from orch.core.render.figures import render_cost, render_duration, render_moment, render_tokens, tokens_cached, tokens_in
from orch.core.render.pull import (
    render_ci_evidence,
    render_gate,
    render_pr_body,
    render_pr_status,
    render_pr_title,
    render_request,
)
from orch.core.render.replies import (
    render_action,
    render_already_decided,
    render_dependency_released,
    render_no_reason,
    render_not_allowed,
    render_stale_decision,
    render_trigger_useless,
)

__all__ = [
    "render_action",
    "render_already_decided",
    "render_cancelled",
    "render_ci_evidence",
    "render_confirm_deploy",
    "render_cost",
    "render_dependency_released",
    "render_done",
    "render_duration",
    "render_finding",
    "render_gate",
    "render_landed",
    "render_moment",
    "render_not_allowed",
    "render_no_reason",
    "render_parked",
    "render_plan_ready",
    "render_pr_body",
    "render_pr_status",
    "render_pr_title",
    "render_qg0_failed",
    "render_qg0_problem",
    "render_questions",
    "render_request",
    "render_resumed",
    "render_retry",
    "render_returned",
    "render_run_finished",
    "render_run_launched",
    "render_stale_decision",
    "render_tokens",
    "render_trigger_useless",
    "tokens_cached",
    "tokens_in",
]
