// As clients/python/tests/ccxt_calls.py, for ccxt in Node: ccxt_calls.mjs SECRETS.json OUT.jsonl. Nothing is sent.

import { createHash, createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import fs from 'node:fs';

const METHODS = new Set(['get', 'post', 'put', 'delete', 'patch', 'head']);
const NOW = 1700000000001;
const [secretsFile, out] = process.argv.slice(2);
const count = Number(process.env.CALLS) || Infinity;

Date.now = () => NOW;
Math.random = () => 0.5;
globalThis.crypto.getRandomValues = (array) => array.fill(7);
// It keeps the clock that it finds.
const { default: ccxt } = await import('ccxt');

class Captured extends Error {}

function entries(api, above = []) {
    const found = [];
    for (const [name, value] of Object.entries(api)) {
        if (!METHODS.has(name)) {
            if (value && typeof value === 'object') found.push(...entries(value, [...above, name]));
        } else {
            const paths = Array.isArray(value) ? value : Object.keys(value);
            found.push(...paths.map((path) => [path.trim(), above.length > 1 ? above : above[0], name.toUpperCase()]));
        }
    }
    return found;
}

function spread(all) {
    const secret = all.filter(([, api]) => String(api).includes('rivate'));
    const chosen = secret.length ? secret : all;
    if (count >= all.length) return all;
    const step = Math.max(1, Math.floor(chosen.length / count));
    return chosen.filter((_, at) => at % step === 0).slice(0, count);
}

function params(path, method) {
    const given = Object.fromEntries([...path.matchAll(/{([^}]+)}/g)].map(([, name]) => [name, '1234']));
    const more = method === 'POST' || method === 'PUT' ? { symbol: 'BTCUSDT', amount: '1.5', note: 'a b/c' } : { symbol: 'BTCUSDT', limit: 5 };
    return { ...given, ...more };
}

// ccxt reads a P-256 key in another form than it is issued in.
function asCcxtReads(keys) {
    if (!keys.secret?.startsWith('-----BEGIN')) return keys;
    const key = createPrivateKey(keys.secret);
    return key.asymmetricKeyType === 'ec' ? { ...keys, secret: key.export({ type: 'sec1', format: 'pem' }) } : keys;
}

// A token (JWT) that is signed on P-256, where no two signatures are the same: checked with the public key, and told by the
// claims that the exchange looks at.
function withoutSignature(sent, publicKey) {
    return sent.replace(/(eyJ[\w-]+)\.(eyJ[\w-]+)\.([\w-]+)/, (token, head, claims, signature) => {
        const key = { key: publicKey, dsaEncoding: 'ieee-p1363' };
        if (!verify('sha256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url'))) return token;
        const [{ alg, kid }, { sub, uri, exp, nbf }] = [head, claims].map((part) => JSON.parse(Buffer.from(part, 'base64url')));
        return `${alg} ${kid} ${sub} ${uri} ${exp - nbf} verified`;
    });
}

let way = null;
subscribe('hsmsign.signed', (message) => { way = message.way; });

const lines = [];
for (const [name, keys] of Object.entries(JSON.parse(fs.readFileSync(secretsFile)))) {
    if (!ccxt[name]) continue;
    const made = new ccxt[name]({ ...asCcxtReads(keys), enableRateLimit: false });
    const publicKey = name === 'coinbase' && createPublicKey(process.env.P256_PUBLIC);
    let signed = new Set();
    for (const kind of ['hmac', 'eddsa', 'ecdsa', 'rsa', 'jwt']) {
        const original = made[kind];
        if (original) made[kind] = (...args) => (signed.add(kind), original(...args));
    }
    Object.assign(made.options, { accountId: '1', accountGroup: '1', accountCategory: 'cash' });
    made.throttle = async () => {};
    made.fetch = async (url, method, headers, body) => {
        const kept = Object.entries(headers ?? {}).map(([key, value]) => [key, String(value)]).sort();
        throw new Captured(JSON.stringify([url, method, kept, body ?? null]));
    };
    for (const [path, api, method] of spread(entries(made.api))) {
        signed = new Set();
        way = null;
        let sent = null;
        let error = 'nothing was sent';
        try {
            await made.request(path, api, method, params(path, method));
        } catch (thrown) {
            if (thrown instanceof Captured) [sent, error] = [thrown.message, null];
            else error = String(thrown);
        }
        // It makes tokens (JWT) and signs with private keys by functions that no exchange's object has.
        if (sent && /eyJ[\w-]+\.eyJ/.test(sent)) signed.add('jwt');
        if (sent && !signed.size && /"[\w-]*signature","[^"]{80,}"/i.test(sent)) signed.add('private');
        if (sent && publicKey) sent = withoutSignature(sent, publicKey);
        const digest = sent && createHash('sha256').update(sent).digest('hex').slice(0, 20);
        lines.push(JSON.stringify([name, method, `${api}/${path}`, [...signed], digest, error, way]));
    }
}
fs.writeFileSync(out, `${lines.join('\n')}\n`);
