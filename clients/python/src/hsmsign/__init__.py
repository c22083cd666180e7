"""Exchange API requests signed on a hardware token, by the hsmsign agent.

The secret is on the token; this package sends requests to the agent's Unix socket and gets them back signed.

>>> from hsmsign import Signer
>>> signed = Signer("kraken").sign("POST", "/0/private/Balance")
"""

from ._async import AsyncSigner
from ._errors import (
    AgentUnavailable,
    HsmsignError,
    KeyNotFound,
    PolicyDenied,
    SecretWouldBeSent,
    TokenLocked,
    TokenUnavailable,
    UnsupportedAlgorithm,
)
from ._placeholder import placeholder
from ._request import Signed
from ._signer import Signer

__all__ = [
    "AgentUnavailable",
    "AsyncSigner",
    "HsmsignError",
    "KeyNotFound",
    "PolicyDenied",
    "SecretWouldBeSent",
    "Signed",
    "Signer",
    "TokenLocked",
    "TokenUnavailable",
    "UnsupportedAlgorithm",
    "placeholder",
]
