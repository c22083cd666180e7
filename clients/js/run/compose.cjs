// Signing what ccxt composed, as a whole request.
//
// ccxt composes a request with stand-ins where its signatures go. The request without them is sent to the agent, whose policy
// sees it; the signatures come back in the agent's answer and are put where the stand-ins were. What comes out must be the
// agent's answer, byte for byte; where it is not, there is only the raw MAC, for keys that were allowed it.

'use strict';

const { randomBytes } = require('node:crypto');
const forms = require('./forms.cjs');
const { keyOf } = require('./label.cjs');
const { ask } = require('./wire.cjs');
const { BadInput, UnsupportedAlgorithm } = require('../src/errors.cjs');
const { macLine, macOf, requestLine, signedOf } = require('../src/line.cjs');

// What is signed comes as such; these tell who the client is, and are not signed.
const STAMPS = [['nonce', /nonce/i], ['window', /window/i], ['timestamp', /time|expir|stamp|ts$|^date$/i]];
// A header that is a list, as in `ts=1700000000001,sig=…,nonce=…`.
const LISTED = /(?:^|[\s,;])(ts|timestamp|nonce)="?([\w-]+)/g;
// The first two parts of a token (JWT).
const TOKEN = /eyJ[\w-]+\.eyJ[\w-]+/;
const SIZES = { sha256: 32, sha384: 48, sha512: 64, rsa: 256 };
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
const headersOf = (request) => Object.entries(request.headers ?? {}).map(([name, value]) => [name, String(value)]);

// The agent signs this request in another way than ccxt composed it.
class Mismatch extends Error {}

class Composed {
    // The MACs and signatures that a request wants, put off until it is whole.
    calls = [];

    // Answers a stand-in: random bytes that stand nowhere else.
    collect(label, algorithm, message) {
        const known = this.calls.find((call) => call.label === label && call.algorithm === algorithm && call.message.equals(message));
        if (known) return known.standIn;
        const standIn = randomBytes(SIZES[algorithm] ?? 64);
        this.calls.push({ label, algorithm, message, standIn });
        return standIn;
    }

    // The request with its signatures; throws a Mismatch where only raw MACs would do.
    sign(composed) {
        const request = bare(composed);
        const info = this.#key();
        if (!info.exchange || info.exchange === 'generic') throw new Mismatch('the key is a generic one, and signs raw bytes only');
        const wanted = this.#wanted(info, request);
        const tries = [wanted];
        // Where no nonce is seen there may be none; where the exchange lets that be, it is asked for in the second place.
        if (!('nonce' in wanted)) {
            tries.push({ ...wanted, nonce: null });
            // Some exchanges call a time what hsmsign knows as their nonce.
            const { timestamp, ...rest } = wanted;
            if (timestamp !== undefined) tries.push({ ...rest, nonce: timestamp });
        }
        let why;
        for (const one of tries) {
            try {
                return this.#joined(request, signedOf(ask(one)), info);
            } catch (error) {
                if (!isNo(error)) throw error;
                why ??= error;
            }
        }
        throw new Mismatch(why.reason ?? why.message);
    }

    // Whether its key was allowed raw MACs.
    mayBeRaw() {
        return this.calls.every(({ label, algorithm }) => keyOf(label, ask, algorithm).allow?.includes('raw'));
    }

    // Whether a private key signs it.
    isPrivate() {
        return this.calls.some(({ algorithm }) => !algorithm.startsWith('sha'));
    }

    // The request with the raw MACs of its messages; none where one took a form that is not known.
    raw(request) {
        const parts = [request.url, request.body, ...headersOf(request).map(([, value]) => value)].filter((part) => typeof part === 'string');
        const stands = ({ standIn }) => forms.writings(standIn).some((written) => parts.some((part) => part.includes(written)));
        if (!this.calls.every(stands)) return undefined;
        const values = this.calls.flatMap(({ label, algorithm, message, standIn }) => {
            return forms.pairs(standIn, macOf(ask(macLine(keyOf(label, ask, algorithm).key, message, algorithm))));
        });
        return replaced(request, values);
    }

    // The request with the agent's own headers in place of those that hold a signature: a token (JWT) says the same in the
    // agent's words. Throws a Mismatch where more than that differs.
    token(composed) {
        const request = bare(composed);
        // It makes its own time and nonce.
        const { timestamp, nonce, ...wanted } = this.#wanted(this.#key(), request);
        let signed;
        try {
            signed = signedOf(ask(wanted));
        } catch (error) {
            throw isNo(error) ? new Mismatch(error.reason ?? error.message) : error;
        }
        if (signed.url !== request.url || String(signed.body ?? '') !== (request.body ?? '')) {
            throw new Mismatch('the agent composes it in another way');
        }
        const written = this.#written();
        const kept = Object.entries(request.headers ?? {}).filter(([, value]) => !written.some((one) => String(value).includes(one)));
        return { ...request, headers: { ...signed.headers, ...Object.fromEntries(kept) } };
    }

    // The one key that signs it.
    #key() {
        const found = new Map(this.calls.map(({ label, algorithm }) => keyOf(label, ask, algorithm)).map((info) => [info.key, info]));
        if (found.size !== 1) throw new Mismatch('it is signed with several keys');
        return [...found.values()][0];
    }

    // The request line: the request without what its signatures put into it, with its stamps.
    #wanted(info, request) {
        const url = this.#without(request.url, true);
        let body = request.body;
        if (body) body = '{['.includes(body[0]) ? this.#withoutMember(body) : this.#without(body, false);
        const stamps = {};
        for (const [name, value] of headersOf(request)) this.#stamp(name, value, stamps);
        const token = request.url.match(TOKEN);
        if (token) claims(token[0], stamps);
        return requestLine(info.key, request.method, url, { ...(body ? { body } : {}), ...stamps });
    }

    #written() {
        return this.calls.flatMap(({ standIn }) => forms.writings(standIn));
    }

    // Without the fields of a query or form that hold a stand-in.
    #without(text, isQuery) {
        const at = isQuery ? text.indexOf('?') : 0;
        if (at < 0) return text;
        const written = this.#written();
        const kept = text.slice(isQuery ? at + 1 : 0).split('&').filter((field) => !written.some((one) => field.includes(one)));
        const head = isQuery ? text.slice(0, at) : '';
        return kept.join('&') ? `${head}${isQuery ? '?' : ''}${kept.join('&')}` : head;
    }

    // Without the members of a JSON object that are a stand-in.
    #withoutMember(body) {
        return this.#written().reduce((left, written) => {
            const member = `"[^"\\\\]*"\\s*:\\s*"${escaped(written)}"`;
            return left.replace(new RegExp(`,\\s*${member}`, 'g'), '').replace(new RegExp(`${member}\\s*,?\\s*`, 'g'), '');
        }, body);
    }

    // Finds the timestamp and nonce that a header carries.
    #stamp(name, value, stamps) {
        if (this.#written().some((written) => value.includes(written))) {
            for (const [, listed, stamp] of value.matchAll(LISTED)) stamps[listed === 'nonce' ? 'nonce' : 'timestamp'] ??= stamp;
            const token = value.match(TOKEN);
            if (token) claims(token[0], stamps);
            return;
        }
        for (const [stamp, pattern] of STAMPS) {
            if (pattern.test(name.replaceAll('X-', '').replaceAll('-', '')) && value.length <= 64) {
                stamps[stamp] ??= value;
                return;
            }
        }
        if (value.length > 20 && /^[\w+/=-]+$/.test(value)) {
            const payload = parsed(Buffer.from(value, 'base64'));
            if (payload?.nonce !== undefined) stamps.nonce ??= String(payload.nonce);
        }
    }

    // ccxt's request with the agent's signatures, if that is the agent's own answer.
    #joined(request, signed, info) {
        const ours = Object.fromEntries(Object.entries(signed.headers).map(([name, value]) => [name.toLowerCase(), value]));
        const body = String(signed.body ?? '');
        const both = [[request.url, signed.url ?? ''], [request.body ?? '', body]];
        for (const [name, value] of headersOf(request)) {
            const other = ours[name.toLowerCase()];
            if (other !== undefined) both.push([value, other]);
        }
        // ccxt takes a placeholder for a secret text, and so a private key's signature is written as the exchange wants it.
        const asWritten = !info.algorithm?.startsWith('hmac') && !this.isPrivate();
        const values = this.calls.flatMap(({ standIn }) => {
            for (const [composed, made] of both) {
                const value = forms.take(composed, made, standIn, asWritten);
                if (value) return value;
            }
            throw new Mismatch("its signature stands elsewhere in the agent's request");
        });
        const done = replaced(request, values);
        const theirs = Object.fromEntries(headersOf(done).map(([name, value]) => [name.toLowerCase(), value]));
        const headers = Object.entries(ours).every(([name, value]) => name === 'content-type' || theirs[name] === value);
        if (done.url === signed.url && (done.body ?? '') === body && headers) return done;
        throw new Mismatch('the agent composes it in another way');
    }
}

// The request without the question mark that some exchanges of ccxt write before an empty query, which is none.
const bare = (request) => ({ ...request, url: request.url.replace(/\?$/, '') });

// Whether the agent cannot sign this request as it is, which leaves the raw MAC.
const isNo = (error) => error instanceof BadInput || error instanceof UnsupportedAlgorithm || error instanceof Mismatch;

function parsed(data) {
    try {
        const made = JSON.parse(data.toString());
        return made !== null && typeof made === 'object' ? made : undefined;
    } catch {
        return undefined;
    }
}

// The stamps that a token carries.
function claims(token, stamps) {
    const [head, claimed] = token.split('.').map((part) => parsed(Buffer.from(part, 'base64url')) ?? {});
    for (const { nonce } of [head, claimed]) if (nonce !== undefined) stamps.nonce ??= String(nonce);
    const time = ['nbf', 'iat', 'timestamp'].find((name) => name in claimed);
    if (time) stamps.timestamp ??= String(claimed[time]);
}

// The request with each of its texts changed.
function replaced(request, values) {
    const change = (text) => (typeof text === 'string' ? forms.put(text, values) : text);
    const done = { ...request, url: change(request.url), body: change(request.body) };
    if (request.headers) done.headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, change(value)]));
    return done;
}

module.exports = { Composed, Mismatch, bare };
