"""The error taxonomy. Expected results (conflict, gate closed, nothing to do) are values, never these.

OrchError
├── ConfigError          wrong configuration or usage; the program says what to do and exits 2
├── DomainError          a rule of the core was asked to be broken; nothing changed
│   ├── IllegalTransition
│   └── LeaseLost        a write carried a stale fence or lease epoch
├── ExternalError        a service failed: service, operation, retry_after
│   ├── TransientError   worth another try
│   │   └── CredentialRefused  our key is refused: the operator mends it, what waits goes on then
│   └── PermanentError   the same request will fail again
├── AgentError           an agent could not be started or read
├── StoreError           the store could not read or write
├── MailboxFull          a command met a full mailbox
└── ActorDied            an actor ended while an answer was awaited
"""


class OrchError(Exception):
    """Root of everything that Orch raises on purpose."""


class ConfigError(OrchError):
    """Configuration or usage is wrong; the text is one line that says what to do."""


class DomainError(OrchError):
    """A rule of the core would have been broken; nothing was changed."""


class IllegalTransition(DomainError):
    """The stage table has no such transition."""


class LeaseLost(DomainError):
    """A write named an attempt or lease epoch that is no longer the current one."""


class ExternalError(OrchError):
    """A service outside failed. *retry_after* is in seconds where the service named it."""

    def __init__(self, service: str, operation: str, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{service}: {operation}: {detail}")
        self.service = service
        self.operation = operation
        self.detail = detail
        self.retry_after = retry_after


class TransientError(ExternalError):
    """Worth another try later."""


class CredentialRefused(TransientError):
    """The service refuses our key: an operator mends that, and what waits for the service then goes on."""


class PermanentError(ExternalError):
    """The same request would fail again."""


class AgentError(OrchError):
    """An agent could not be started, or its output could not be read at all."""


class StoreError(OrchError):
    """The store failed; the transaction was rolled back."""


class MailboxFull(OrchError):
    """A command was sent to a full mailbox."""


class ActorDied(OrchError):
    """The actor ended before it answered."""
