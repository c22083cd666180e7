// The errors: a class a kind, each with the agent's code, what happened, and what to do.

'use strict';

// Errors that are a library's own kind too, as ccxt's, carry the names of ours here.
const KINDS = Symbol.for('hsmsign.kinds');

class HsmsignError extends Error {
    static kind = 'HsmsignError';

    constructor(message, { code = 'failed', fix = '' } = {}) {
        super(`hsmsign: ${message} [${code}]${fix ? `; ${fix}` : ''}`);
        this.name = new.target.name;
        this.reason = message;
        this.code = code;
        this.fix = fix;
        Object.defineProperty(this, KINDS, { value: kindsOf(new.target), enumerable: false });
    }

    static [Symbol.hasInstance](value) {
        return (Object.hasOwn(this, 'kind') && value?.[KINDS]?.includes(this.kind)) || Function.prototype[Symbol.hasInstance].call(this, value);
    }
}

// The names of a class and of those that it is made from.
function kindsOf(type) {
    const kinds = [];
    for (let each = type; each?.kind; each = Object.getPrototypeOf(each)) {
        if (Object.hasOwn(each, 'kind')) kinds.push(each.kind);
    }
    return kinds;
}

// No agent answers at the socket, or it went away.
class AgentUnavailable extends HsmsignError {
    static kind = 'AgentUnavailable';

    constructor(message, { fix = 'start it with `hsmsign agent start`, or start the bot with `hsmsign run -- COMMAND`' } = {}) {
        super(message, { code: 'agent-unavailable', fix });
    }
}

// There is no key of that name.
class KeyNotFound extends HsmsignError {
    static kind = 'KeyNotFound';
}

// The key's owner did not allow it.
class PolicyDenied extends HsmsignError {
    static kind = 'PolicyDenied';
}

// The token is not there, busy, or refused its PIN.
class TokenUnavailable extends HsmsignError {
    static kind = 'TokenUnavailable';
}

// The token wants a PIN.
class TokenLocked extends TokenUnavailable {
    static kind = 'TokenLocked';
}

// The key does not compute what was asked for, or the token cannot take the message.
class UnsupportedAlgorithm extends HsmsignError {
    static kind = 'UnsupportedAlgorithm';
}

// The exchange wants the secret itself in the request, which no token can give.
class SecretWouldBeSent extends HsmsignError {
    static kind = 'SecretWouldBeSent';
}

// The request cannot be understood.
class BadInput extends HsmsignError {
    static kind = 'BadInput';
}

const BY_CODE = {
    'agent-unavailable': AgentUnavailable,
    'unknown-key': KeyNotFound,
    'unknown-exchange': KeyNotFound,
    denied: PolicyDenied,
    'token-missing': TokenUnavailable,
    'token-busy': TokenUnavailable,
    'wrong-pin': TokenLocked,
    'token-locked': TokenLocked,
    unsupported: UnsupportedAlgorithm,
    'too-large': UnsupportedAlgorithm,
    'bad-input': BadInput,
    usage: BadInput,
};

// The error of an answer line.
function errorOf(error) {
    if (typeof error?.code !== 'string') return new HsmsignError("the agent's answer has no error in it");
    const { code, message, fix } = error;
    return new (BY_CODE[code] ?? HsmsignError)(message, { code, fix });
}

module.exports = {
    HsmsignError, AgentUnavailable, KeyNotFound, PolicyDenied, TokenUnavailable, TokenLocked, UnsupportedAlgorithm, SecretWouldBeSent,
    BadInput, errorOf, KINDS, kindsOf,
};
