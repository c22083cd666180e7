// As clients/python/tests/ccxt_calls.py, for ccxt in Node: ccxt_calls.mjs SECRETS.json OUT.jsonl. Nothing is sent.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import ccxt from 'ccxt';

const METHODS = new Set(['get', 'post', 'put', 'delete', 'patch', 'head']);
const NOW = 1700000000001;
const [secretsFile, out] = process.argv.slice(2);
const count = Number(process.env.CALLS) || Infinity;

Date.now = () => NOW;
Math.random = () => 0.5;
globalThis.crypto.getRandomValues = (array) => array.fill(7);

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

const lines = [];
for (const [name, keys] of Object.entries(JSON.parse(fs.readFileSync(secretsFile)))) {
    if (!ccxt[name]) continue;
    const made = new ccxt[name]({ ...keys, enableRateLimit: false });
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
        let sent = null;
        let error = 'nothing was sent';
        try {
            await made.request(path, api, method, params(path, method));
        } catch (thrown) {
            if (thrown instanceof Captured) [sent, error] = [thrown.message, null];
            else error = String(thrown);
        }
        const digest = sent && createHash('sha256').update(sent).digest('hex').slice(0, 20);
        lines.push(JSON.stringify([name, method, `${api}/${path}`, [...signed], digest, error, null]));
    }
}
fs.writeFileSync(out, `${lines.join('\n')}\n`);
