// The lines to the agent, what its answers say, and where it listens.

'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { BadInput, HsmsignError, UnsupportedAlgorithm, errorOf } = require('./errors.cjs');

// Milliseconds until an answer that does not come is given up.
const TIMEOUT = 30000;
const LONGEST = 32 << 20;
const PARTS = ['query', 'form', 'json', 'params', 'host', 'testnet', 'timestamp', 'nonce', 'window', 'offset_ms', 'challenge',
    'content_type', 'id', 'websocket'];

function socketPath(env = process.env) {
    if (env.HSMSIGN_SOCKET) return env.HSMSIGN_SOCKET;
    if (env.HSMSIGN_HOME) return path.join(env.HSMSIGN_HOME, 'agent.sock');
    const runtime = env.XDG_RUNTIME_DIR ?? '';
    const own = path.join(runtime, 'hsmsign', 'agent.sock');
    return path.isAbsolute(runtime) && fs.existsSync(own) ? own : '/run/hsmsign/agent.sock';
}

// Bytes of a text (UTF-8) or of any view of bytes; none of other things.
function bytes(data) {
    if (typeof data === 'string') return Buffer.from(data);
    if (Buffer.isBuffer(data)) return data;
    if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    if (data instanceof ArrayBuffer) return Buffer.from(data);
    return undefined;
}

// The line of a request; `target` is a path, or a whole URL.
function requestLine(key, method, target, parts = {}) {
    const line = { key };
    if (method !== undefined) line.method = method;
    if (target !== undefined) line[/^[a-z][a-z0-9+.-]*:\/\//i.test(target) ? 'url' : 'path'] = target;
    for (const [name, value] of Object.entries(parts)) {
        if (name === 'body') {
            if (value !== undefined && value !== null) Object.assign(line, bodyOf(value));
        } else if (!PARTS.includes(name)) {
            throw new BadInput(`a request has no part ${name}`, { code: 'bad-input', fix: `the parts are body, ${PARTS.join(', ')}` });
        } else if (value !== undefined) {
            line[name] = value instanceof URLSearchParams ? [...value] : value;
        }
    }
    return line;
}

function bodyOf(value) {
    if (typeof value === 'string') return { body: value };
    const data = bytes(value);
    if (!data) throw new BadInput('a body is a text or bytes', { code: 'bad-input', fix: 'give what is an object as form, json or params' });
    const text = data.toString();
    return Buffer.from(text).equals(data) ? { body: text } : { body_base64: data.toString('base64') };
}

// The line that asks for a MAC. Where an algorithm is named, the agent refuses a key of another.
function macLine(key, message, algorithm) {
    const data = bytes(message);
    if (!data) throw new BadInput('a message is a text or bytes', { code: 'bad-input' });
    const asked = { key, message_base64: data.toString('base64') };
    if (algorithm !== undefined) {
        const plain = String(algorithm).toLowerCase().replace(/[-_]/g, '').replace(/^hmac/, '');
        if (!/^sha(256|384|512)$/.test(plain)) {
            throw new UnsupportedAlgorithm(`a MAC by ${algorithm} was asked for, which keys on a token are not for`, {
                code: 'unsupported', fix: 'they are for sha256, sha384 and sha512',
            });
        }
        asked.algorithm = `hmac-${plain}`;
    }
    return { hmac: asked };
}

// Reads an answer line that is `ok`; throws what another says.
function answerOf(text) {
    let answer;
    try {
        answer = JSON.parse(text);
    } catch {
        throw new HsmsignError("the agent's answer is not JSON", { fix: "see that the socket is hsmsign's" });
    }
    if (answer?.ok !== true) throw errorOf(answer?.error);
    return answer;
}

// The signed request in an answer: these bytes were signed, to be sent as they stand.
function signedOf({ method, url, headers, body, body_base64: encoded }) {
    if (typeof method !== 'string') throw new HsmsignError("the agent's answer is not a signed request");
    const data = typeof encoded === 'string' ? Buffer.from(encoded, 'base64') : (body ?? undefined);
    return { method, url: url ?? undefined, headers: headers ?? {}, body: data };
}

function macOf({ mac_base64: encoded }) {
    if (typeof encoded !== 'string') throw new HsmsignError("the agent's answer has no MAC in it");
    return Buffer.from(encoded, 'base64');
}

module.exports = { LONGEST, TIMEOUT, answerOf, bytes, macLine, macOf, requestLine, signedOf, socketPath };
