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

// A class of this name, which has nothing more to it.
const kind = (name, base = HsmsignError) => ({ [name]: class extends base { static kind = name; } })[name];

// No agent answers at the socket, or it went away.
class AgentUnavailable extends HsmsignError {
    static kind = 'AgentUnavailable';

    constructor(message, { fix = 'start it with `hsmsign agent start`, or start the bot with `hsmsign run -- COMMAND`' } = {}) {
        super(message, { code: 'agent-unavailable', fix });
    }
}

// There is no key of that name.
const KeyNotFound = kind('KeyNotFound');

// The key's owner did not allow it.
const PolicyDenied = kind('PolicyDenied');

// The token is not there, busy, or refused its PIN.
const TokenUnavailable = kind('TokenUnavailable');

// The token wants a PIN.
const TokenLocked = kind('TokenLocked', TokenUnavailable);

// The key does not compute what was asked for, or the token cannot take the message.
const UnsupportedAlgorithm = kind('UnsupportedAlgorithm');

// The exchange wants the secret itself in the request, which no token can give.
const SecretWouldBeSent = kind('SecretWouldBeSent');

// The request cannot be understood.
const BadInput = kind('BadInput');

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
