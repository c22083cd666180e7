//! The hook in Node, and the package `hsmsign` for it.

use std::{fs, os::unix::fs::symlink, process::Command};

use crate::{
    Agent,
    bench::{KRAKEN_BODY, KRAKEN_SIGN, Place, RAW_SECRET},
    ccxt_for_node, have, place, script, stand_in,
};

#[test]
fn what_node_keys_with_a_placeholder_is_signed_on_the_token() {
    let Some(place) = place() else { return };
    if !have("node") {
        return;
    }
    let body = r#"
const [key, secret, denied] = process.argv.slice(2);
const same = (way) => { if (way(key) !== way(secret)) throw new Error(`not the same: ${way}`); };
same((k) => createHmac('sha256', k).update('abc').digest('hex'));
same((k) => createHmac('SHA256', Buffer.from(k)).update('a').update(Buffer.from('bc')).digest('base64'));
if (createHmac('sha256', Buffer.from(key, 'base64')).update('abc').digest('hex') !== createHmac('sha256', secret).update('abc').digest('hex')) throw new Error('decoded');
const made = createHmac('sha256', key);
for (const [code, call] of [['ERR_INVALID_ARG_TYPE', () => made.update(5)], ['ERR_CRYPTO_HASH_FINALIZED', () => { made.digest(); made.update('abc'); }], ['ERR_CRYPTO_INVALID_DIGEST', () => createHmac('none', key)]]) {
    try { call(); } catch (error) { if (error.code === code) continue; throw error; }
    throw new Error(`${code} was expected`);
}
for (const [k, algorithm, code] of [[denied, 'sha512', 'denied'], [key, 'sha512', 'bad-input'], [key, 'md5', 'unsupported'], [key + '&', 'sha256', 'bad-input']]) {
    try { createHmac(algorithm, k).update('abc').digest(); } catch (error) { if (error.code === code && error.fix) continue; throw error; }
    throw new Error(`${k} was signed`);
}
console.log('same');
"#;
    let args = [
        stand_in(&place, "raw"),
        RAW_SECRET.to_owned(),
        stand_in(&place, "kraken"),
    ];
    for (name, head) in [
        ("bot.mjs", "import { createHmac } from 'node:crypto';"),
        ("bot.cjs", "const { createHmac } = require('crypto');"),
    ] {
        let bot = script(&place, name, &format!("{head}\n{body}"));
        let done = place.run(&["run", "--", "node", &bot, &args[0], &args[1], &args[2]], "");
        assert_eq!(done.stdout, "same\n", "{name}: {done:?}");
    }
}

#[test]
fn ccxt_in_node_has_whole_requests_signed_imported_and_required() {
    let Some(place) = place() else { return };
    let Some(modules) = ccxt_for_node() else { return };
    symlink(modules, place.path().join("node_modules")).unwrap();
    // No key was allowed raw MACs: what is signed is signed as a whole request.
    place.import(&["--exchange", "binance", "--api-key", "b"], RAW_SECRET);
    place.import(&["--exchange", "bybit", "--api-key", "y"], RAW_SECRET);
    place.ok(&[
        "generate",
        "--exchange",
        "binance",
        "--key",
        "ed",
        "--algorithm",
        "ed25519",
    ]);
    place.ok(&["set", "ed", "--api-key", "e"]);
    let body = r#"
const [secret, binance, kraken, ed, bybit] = process.argv.slice(2);
const check = (holds, what) => { if (!holds) throw new Error(what); };
const ways = [];
subscribe('hsmsign.signed', ({ way }) => ways.push(way));
const sent = async (exchange, call, params) => {
    let seen;
    exchange.milliseconds = exchange.nonce = () => 1700000000001;
    exchange.fetch = async (...parts) => { seen = JSON.stringify(parts); return {}; };
    await exchange[call](params);
    return seen;
};
const order = { symbol: 'BTCUSDT', side: 'BUY', type: 'MARKET', quantity: '1', newClientOrderId: 'x1' };
for (const [call, params] of [['privateGetAccount', {}], ['privatePostOrder', order]]) {
    const [one, other] = [await sent(new ccxt.binance({ apiKey: 'b', secret: binance }), call, params), await sent(new ccxt.binance({ apiKey: 'b', secret }), call, params)];
    check(one === other && one.includes('signature='), `${one} ${other}`);
}
check((await sent(new ccxt.binance({ apiKey: 'e', secret: ed }), 'privateGetAccount', {})).includes('signature='), 'Ed25519');
check((await sent(new ccxt.kraken({ apiKey: 'example', secret: kraken }), 'privatePostAddOrder', { pair: 'XBTUSD' })).includes('API-Sign'), 'Kraken');
// Where there is no query, ccxt writes its question mark all the same.
const asked = await sent(new ccxt.bybit({ apiKey: 'y', secret }), 'privateGetV5UserQueryApi', {});
check(asked.includes('?"') && asked.replace('?"', '"') === (await sent(new ccxt.bybit({ apiKey: 'y', secret: bybit }), 'privateGetV5UserQueryApi', {})), asked);
check(ways.length === 5 && ways.every((way) => way === 'whole'), String(ways));
for (const [name, secret, call, kind, code, words] of [
    ['kraken', kraken, 'privatePostWithdraw', 'PermissionDenied', 'denied', 'withdraw'],
    ['luno', kraken, 'privateGetBalance', 'NotSupported', 'unsupported', 'luno wants the secret itself'],
    ['kraken', 'aHNtc2lnbjpub2JvZHkAAAAAAAAAAAAA', 'privatePostBalance', 'AuthenticationError', 'unknown-key', 'nobody'],
    ['binance', `${kraken}x`, 'privateGetAccount', 'BadRequest', 'bad-input', 'whole placeholder'],
    ['bybit', binance, 'privateGetV5OrderRealtime', 'PermissionDenied', 'denied', 'whole request could not be used'],
]) {
    const error = await sent(new ccxt[name]({ apiKey: 'a', secret }), call, {}).then((made) => new Error(`signed: ${made}`), (thrown) => thrown);
    check(error instanceof ccxt[kind] && error.code === code && error.fix && error.message.includes(words), `${name} ${call}: ${error}`);
}
console.log('same');
"#;
    let keys = ["binance", "kraken", "ed", "bybit"].map(|key| stand_in(&place, key));
    for (name, head, foot) in [
        (
            "bot.mjs",
            "import ccxt from 'ccxt'; import { subscribe } from 'node:diagnostics_channel';",
            "",
        ),
        (
            "bot.cjs",
            "const ccxt = require('ccxt'); const { subscribe } = require('diagnostics_channel'); (async () => {",
            "})().catch((error) => { console.error(error); process.exitCode = 1; });",
        ),
    ] {
        let bot = script(&place, name, &format!("{head}\n{body}\n{foot}"));
        let command = ["run", "--", "node", &bot, RAW_SECRET];
        let done = place.run(&[&command[..], &keys.each_ref().map(String::as_str)].concat(), "");
        assert_eq!(done.stdout, "same\n", "{name}: {done:?}");
    }
}

/// Runs a program that uses the package, without the hook; answers what it printed.
pub fn told(place: &Place, name: &str, text: &str, args: &[&str]) -> String {
    let modules = place.path().join("node_modules");
    if !modules.exists() {
        fs::create_dir(&modules).unwrap();
        symlink(
            concat!(env!("CARGO_MANIFEST_DIR"), "/clients/js"),
            modules.join("hsmsign"),
        )
        .unwrap();
    }
    let done = Command::new("node")
        .arg("--preserve-symlinks")
        .arg(script(place, name, text))
        .args(args)
        .env("HSMSIGN_HOME", place.home())
        .env("PROGRAM", env!("CARGO_BIN_EXE_hsmsign"))
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn the_package_for_node_has_requests_and_macs_signed_imported_and_required() {
    let Some(place) = place() else { return };
    if !have("node") {
        return;
    }
    let _agent = Agent::start(&place);
    let body = r#"
const [body, sign, secret] = process.argv.slice(2);
const check = (holds, what) => { if (!holds) throw new Error(what); };
const kraken = new Signer('kraken');
const signed = await kraken.sign('POST', '/0/private/AddOrder', { body });
check(signed.headers['API-Sign'] === sign && signed.body === body && signed.method === 'POST', JSON.stringify(signed));
check(signed.url === 'https://api.kraken.com/0/private/AddOrder', signed.url);
const bytes = await kraken.sign('POST', 'https://api.kraken.com/0/private/AddOrder', { body: Buffer.from(body) });
check(bytes.headers['API-Sign'] === sign, 'a whole URL, and bytes');
const spaced = await kraken.sign('POST', '/0/private/AddOrder', { params: { note: 'a b' } });
check(/^nonce=\d+&note=a%20b$/.test(spaced.body), spaced.body);
const formed = await kraken.sign('POST', '/0/private/AddOrder', { form: new URLSearchParams([['a', '1'], ['a', '2']]) });
check(formed.body.endsWith('&a=1&a=2'), formed.body);
// Every part that the agent knows.
const parts = (fix) => fix.replace(/^.* are /, '').split(', ').filter((name) => !['key', 'method', 'path', 'url', 'body_base64'].includes(name)).sort().join();
const ours = (await kraken.sign('POST', '/0/private/AddOrder', { bodies: '' }).catch((error) => error)).fix;
const { stdout } = spawnSync(process.env.PROGRAM, ['sign', '--json'], { input: '{"pth":1}\n', encoding: 'utf8' });
const theirs = JSON.parse(stdout).error.fix;
check(parts(ours) === parts(theirs), `${parts(ours)} and ${parts(theirs)}`);
await kraken.sign('POST', '/0/private/Balance', { offset_ms: -120 });
const refused = [
    [PolicyDenied, 'denied', () => kraken.sign('POST', '/0/private/Withdraw', { params: { asset: 'XBT' } })],
    [PolicyDenied, 'denied', () => kraken.hmac('abc')],
    [KeyNotFound, 'unknown-key', () => new Signer('nobody').sign('GET', '/0/private/Balance')],
    [BadInput, 'bad-input', () => new Signer('raw').hmac('abc', 'sha512')],
    [UnsupportedAlgorithm, 'unsupported', () => new Signer('raw').hmac('abc', 'md5')],
    [BadInput, 'bad-input', () => kraken.sign('POST', '/0/private/AddOrder', { bodies: '' })],
    [AgentUnavailable, 'agent-unavailable', () => new Signer('raw', { socket: '/nowhere/agent.sock' }).hmac('abc')],
];
for (const [kind, code, call] of refused) {
    const error = await call().then(() => undefined, (thrown) => thrown);
    check(error instanceof kind && error instanceof HsmsignError && error instanceof Error, `${code}: ${error}`);
    check(error.code === code && error.fix && error.reason && error.message.includes(`[${code}]`), `${code}: ${error}`);
    check(!(error instanceof TokenLocked), `${code} is no TokenLocked`);
}
// Many at once, each with its own answer.
const raw = new Signer('raw');
const mac = (message) => createHmac('sha256', secret).update(message).digest('hex');
const macs = await Promise.all(Array.from({ length: 200 }, (_, number) => raw.hmac(String(number), 'sha256')));
check(macs.every((made, number) => made.toString('hex') === mac(String(number))), 'an answer of another request');
check(placeholder('main') === 'aHNtc2lnbjptYWluAAAAAAAAAAAAAAAA', placeholder('main'));
check(placeholder('kraken-main_2.xyz').length === 32, 'a long name');
// The agent is started anew: the connection that was kept open is found closed.
execFileSync(process.env.PROGRAM, ['agent', 'stop']);
check((await raw.hmac('abc').catch((error) => error)) instanceof AgentUnavailable, 'signed without an agent');
execFileSync(process.env.PROGRAM, ['agent', 'start']);
check((await raw.hmac('abc')).toString('hex') === mac('abc'), 'after a restart');
console.log('signed');
"#;
    let names = "Signer, placeholder, AgentUnavailable, BadInput, HsmsignError, KeyNotFound, PolicyDenied, TokenLocked, UnsupportedAlgorithm";
    let imported = format!(
        "import {{ {names} }} from 'hsmsign';\nimport {{ createHmac }} from 'node:crypto';\nimport {{ execFileSync, spawnSync }} from 'node:child_process';\n{body}"
    );
    let required = format!(
        "const {{ {names} }} = require('hsmsign');\nconst {{ createHmac }} = require('crypto');\nconst {{ execFileSync, spawnSync }} = require('child_process');\n(async () => {{ {body} }})().catch((error) => {{ console.error(error); process.exitCode = 1; }});"
    );
    for (name, text) in [("client.mjs", imported), ("client.cjs", required)] {
        let args = [KRAKEN_BODY, KRAKEN_SIGN, RAW_SECRET];
        assert_eq!(told(&place, name, &text, &args), "signed\n", "{name}");
    }
}

#[test]
fn an_answer_that_does_not_come_is_given_up_and_is_no_other_requests() {
    let Some(place) = place() else { return };
    if !have("node") {
        return;
    }
    let text = r#"
import net from 'node:net';
import { AgentUnavailable, HsmsignError, Signer } from 'hsmsign';
const check = (holds, what) => { if (!holds) throw new Error(what); };
const socket = process.argv[2];
// The first line of a connection is answered, the second never, on the first connection.
let connections = 0;
const server = net.createServer((client) => {
    const first = ++connections === 1;
    let lines = 0;
    client.on('data', (data) => {
        for (const line of data.toString().split('\n').filter(Boolean)) {
            lines += 1;
            if (first && lines === 2) continue;
            const made = JSON.parse(line).hmac.message_base64;
            client.write(`${JSON.stringify({ ok: true, mac_base64: made })}\n`);
        }
    });
    client.on('error', () => {});
}).listen(socket);
const signer = new Signer('raw', { socket, timeout: 500 });
check((await signer.hmac('one')).toString() === 'one', 'one');
const late = await signer.hmac('two').catch((error) => error);
check(late instanceof AgentUnavailable && late.message.includes('may have been signed'), String(late));
check((await signer.hmac('three')).toString() === 'three', 'three');
server.close();
signer.close();
const nonsense = net.createServer((client) => client.on('data', () => client.end('what?\n'))).listen(`${socket}2`);
const error = await new Signer('raw', { socket: `${socket}2` }).hmac('one').catch((thrown) => thrown);
check(error instanceof HsmsignError && error.message.includes('is not JSON'), String(error));
nonsense.close();
console.log('given up');
"#;
    let socket = place.path().join("deaf.sock");
    assert_eq!(
        told(&place, "late.mjs", text, &[socket.to_str().unwrap()]),
        "given up\n"
    );
}

#[test]
fn the_example_of_the_page_does_what_it_says() {
    let Some(place) = place() else { return };
    if !have("node") {
        return;
    }
    let _agent = Agent::start(&place);
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/bots.md")).unwrap();
    let (_, rest) = page.split_once("```js\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let printed = told(&place, "example.mjs", example, &[]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(
        lines[0],
        "POST https://api.kraken.com/0/private/AddOrder 88 nonce=…&pair=XBTUSD&type=buy&ordertype=market&volume=1"
    );
    assert!(lines[1].starts_with("denied ") && lines.len() == 2, "{printed}");
}
