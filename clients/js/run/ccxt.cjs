// The hook on ccxt: the functions of its base in which secrets become signatures, and each exchange's method `sign`.

'use strict';

const { channel } = require('node:diagnostics_channel');
const { Composed, Mismatch, bare } = require('./compose.cjs');
const { derive, keyOf, labelOf, within } = require('./label.cjs');
const { mac, signature, state } = require('./mac.cjs');
const { ask } = require('./wire.cjs');
const errors = require('../src/errors.cjs');
const { bytes } = require('../src/line.cjs');
const { MARK } = require('../src/placeholder.cjs');

const { KINDS, PolicyDenied, SecretWouldBeSent, UnsupportedAlgorithm } = errors;
const P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
// ccxt's classes, by ours.
const THEIRS = [
    [errors.PolicyDenied, 'PermissionDenied'],
    [errors.AgentUnavailable, 'ExchangeNotAvailable'],
    [errors.TokenUnavailable, 'AuthenticationError'],
    [errors.KeyNotFound, 'AuthenticationError'],
    [errors.SecretWouldBeSent, 'NotSupported'],
    [errors.UnsupportedAlgorithm, 'NotSupported'],
    [errors.BadInput, 'BadRequest'],
];
const unsupported = (message) => new UnsupportedAlgorithm(message, { code: 'unsupported', fix: 'this exchange cannot be signed for on a token' });
const trimmed = (secret) => labelOf(typeof secret === 'string' ? secret.trim() : secret);

// The name of a hash of noble's, by its sizes.
function hashName(hash) {
    const known = { '32/64': 'sha256', '48/128': 'sha384', '64/128': 'sha512' };
    return known[`${hash.outputLen}/${hash.blockLen}`] ?? `a hash of ${hash.outputLen} bytes`;
}

// What stands in the functions of ccxt's base. Each answers undefined for what is keyed with no placeholder.
const functions = {
    mac(hash, secret, request) {
        const found = labelOf(secret);
        return found && new Uint8Array(mac(hashName(hash), found, bytes(request)));
    },

    // The hash of a placeholder, as one exchange keys its MACs, is known again when it comes.
    hashed(request, made) {
        const found = labelOf(request);
        if (!found) return made;
        if (found.form !== 'text' || typeof made !== 'string') {
            throw new SecretWouldBeSent('the exchange wants a hash of the secret in the request, which no token computes', {
                code: 'unsupported', fix: 'this exchange cannot be signed for on a token',
            });
        }
        derive(made, found, 'a hash of the text');
        return made;
    },

    // The arguments of `rsa`, `eddsa` and `ecdsa` begin alike.
    privately(kind, [request, secret, curve]) {
        const found = trimmed(secret);
        if (!found) return undefined;
        const message = bytes(request);
        if (kind === 'rsa') return signature('rsa', found, message).toString('base64');
        if (kind === 'eddsa') return signature('ed25519', found, message).toString('base64');
        if (kind !== 'ecdsa' || (curve?.Point?.Fn?.ORDER ?? curve?.CURVE?.n) !== P256) {
            throw unsupported('the exchange wants signatures on a curve that no token here computes');
        }
        const made = signature('p256', found, message).toString('hex');
        return { r: made.slice(0, 64), s: made.slice(64), v: 0 };
    },
};

// What ccxt's errors are, once its base is loaded.
let classes = {};

// Changes the class that all exchanges are made from.
function changeBase(Exchange, theirErrors) {
    const { afterConstruct, ethGetAddressFromPrivateKey } = Exchange.prototype;
    if (typeof afterConstruct !== 'function') throw new Error('hsmsign: this ccxt is of a kind that the hook does not know; nothing can be signed with a placeholder');
    classes = theirErrors;
    Exchange.prototype.afterConstruct = function (...args) {
        // ccxt gives each object the methods of its classes as its own.
        if (!wrapped.has(this.sign)) {
            this.sign = signing(this.sign);
            wrapped.add(this.sign);
        }
        const { base58ToBinary } = this;
        // A placeholder is not base58; it comes to the signature as it is.
        if (base58ToBinary) this.base58ToBinary = (text) => (within(text) ? new Uint8Array(bytes(text)) : base58ToBinary(text));
        return afterConstruct.apply(this, args);
    };
    Exchange.prototype.ethGetAddressFromPrivateKey = function (privateKey) {
        if (trimmed(privateKey)) throw unsupported('the exchange wants signatures of an Ethereum wallet, which no token here makes');
        return ethGetAddressFromPrivateKey.call(this, privateKey);
    };
}

const wrapped = new WeakSet();

const holdsPlaceholder = (exchange) => ['secret', 'privateKey', 'password', 'token'].some((name) => within(exchange[name]));

function signing(original) {
    return function (...args) {
        // Inside another exchange's `sign` the outer one sees to it.
        if (state.collect || !holdsPlaceholder(this)) return original.apply(this, args);
        try {
            const done = whole(this, original, args);
            return isPromise(done) ? done.catch((error) => { throw asCcxt(this, error); }) : done;
        } catch (error) {
            throw asCcxt(this, error);
        }
    };
}

// Whoever wants to know by which way a request was signed subscribes to this: whole, or by raw MACs.
const told = channel('hsmsign.signed');
const tell = (exchange, way) => told.hasSubscribers && told.publish({ exchange: exchange.id, way });

const isPromise = (value) => typeof value?.then === 'function';
// For each exchange the calls that only raw MACs are right for, and those where both ways were once the same.
const ways = new WeakMap();

function whole(exchange, original, args) {
    const place = JSON.stringify([args[0], args[1]]);
    if (!ways.has(exchange)) ways.set(exchange, { raw: new Set(), seen: new Set() });
    const way = ways.get(exchange);
    const again = () => then(original.apply(exchange, args), (request) => guarded(exchange, request));
    if (way.raw.has(place) || isGeneric(exchange)) {
        tell(exchange, 'raw');
        return again();
    }
    const composed = new Composed();
    state.collect = (...call) => composed.collect(...call);
    let made;
    try {
        made = original.apply(exchange, args);
    } finally {
        state.collect = undefined;
    }
    return then(made, (request) => signed(exchange, composed, guarded(exchange, request), way, place, again));
}

const then = (value, change) => (isPromise(value) ? value.then(change) : change(value));

function signed(exchange, composed, request, { raw, seen }, place, again) {
    if (composed.calls.length === 0) return request;
    let mismatch;
    try {
        const done = composed.sign(request);
        const isKnown = seen.has(place) || !composed.mayBeRaw() || composed.isPrivate();
        const other = isKnown ? undefined : compared(composed, request);
        if (other && !same(bare(other), done)) {
            // Both were looked at once: ccxt signs another message here than the exchange's file says.
            raw.add(place);
            tell(exchange, 'raw');
            return guarded(exchange, other);
        }
        seen.add(place);
        tell(exchange, 'whole');
        return done;
    } catch (error) {
        if (!(error instanceof Mismatch)) throw error;
        mismatch = error.message;
    }
    if (composed.isPrivate()) return asToken(exchange, composed, request, mismatch);
    try {
        // Composed again only where a signature took a form that is not known: that takes another nonce.
        const other = composed.raw(request);
        const done = other ? guarded(exchange, other) : again();
        raw.add(place);
        tell(exchange, 'raw');
        return done;
    } catch (error) {
        if (!(error instanceof PolicyDenied)) throw error;
        throw new PolicyDenied(`${error.reason}; and the whole request could not be used: ${mismatch}`, error);
    }
}

// The request by raw MACs, to be looked at only: the owner's rules may refuse that, and the whole request was allowed.
function compared(composed, request) {
    try {
        return composed.raw(request);
    } catch (error) {
        if (error instanceof PolicyDenied) return undefined;
        throw error;
    }
}

function asToken(exchange, composed, request, mismatch) {
    try {
        const done = composed.token(request);
        tell(exchange, 'whole');
        return done;
    } catch (error) {
        if (!(error instanceof Mismatch)) throw error;
        throw unsupported(`this request of ${exchange.id} cannot be signed as a whole, and private keys sign nothing else: ${mismatch}`);
    }
}

const same = (one, other) => one.url === other.url && (one.body ?? '') === (other.body ?? '') && JSON.stringify(one.headers) === JSON.stringify(other.headers);

// Whether its key is of no exchange that hsmsign knows: that signs raw bytes only.
function isGeneric(exchange) {
    const found = [exchange.secret, exchange.privateKey].map(trimmed).find((each) => each?.label);
    return found !== undefined && keyOf(found.label, ask).exchange === 'generic';
}

// Whether a placeholder stands in a user and a password. A user of the name `hsmsign` is none, although what encodes it begins like
// one.
function inBasic(text) {
    const plain = Buffer.from(text, 'base64').toString('latin1');
    const isUser = plain.startsWith(MARK) && !plain.includes('\0') && plain.length !== 24;
    return within(plain) || within(isUser ? text.slice(10) : text);
}

// Refuses a request that carries the placeholder: the exchange wants the secret itself there.
function guarded(exchange, request) {
    if (request === null || typeof request !== 'object') return request;
    for (const part of [request.url, request.body, ...Object.values(request.headers ?? {})]) {
        const text = typeof part === 'string' ? part : part ? JSON.stringify(part) : '';
        if (text.startsWith('Basic ') ? inBasic(text.slice(6).trim()) : within(text)) {
            throw new SecretWouldBeSent(`${exchange.id} wants the secret itself in the request, and hsmsign never gives it out`, {
                code: 'unsupported', fix: 'this exchange cannot be signed for on a token; its page may offer another kind of key',
            });
        }
    }
    return request;
}

// The error as ccxt's own kind, which bots catch; it is ours as well, and carries code and remedy.
function asCcxt(exchange, error) {
    if (!(error instanceof errors.HsmsignError)) return error;
    const name = THEIRS.find(([ours]) => error instanceof ours)?.[1] ?? 'ExchangeError';
    const told = new (classes[name] ?? classes.ExchangeError ?? Error)(`${exchange.id} ${error.message}`);
    Object.assign(told, { code: error.code, fix: error.fix, reason: error.reason });
    Object.defineProperty(told, KINDS, { value: error[KINDS], enumerable: false });
    return told;
}

module.exports = { changeBase, functions };
