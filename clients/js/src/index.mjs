// For programs that import; the package itself is there once, however it is loaded.

import hsmsign from './index.cjs';

export const {
    Signer, placeholder, socketPath, HsmsignError, AgentUnavailable, BadInput, KeyNotFound, PolicyDenied, SecretWouldBeSent, TokenLocked,
    TokenUnavailable, UnsupportedAlgorithm,
} = hsmsign;
