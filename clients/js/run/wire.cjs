// The agent's socket, asked without waiting in the event loop: ccxt signs in functions that answer at once. A thread of its own
// speaks to the agent, and this one sleeps until the answer is there.

'use strict';

const { Worker, MessageChannel, receiveMessageOnPort, isMainThread, parentPort, workerData } = require('node:worker_threads');
const path = require('node:path');
const fs = require('node:fs');

const TIMEOUT = 30000;

function socketPath(env = process.env) {
    if (env.HSMSIGN_SOCKET) return env.HSMSIGN_SOCKET;
    if (env.HSMSIGN_HOME) return path.join(env.HSMSIGN_HOME, 'agent.sock');
    const own = env.XDG_RUNTIME_DIR && path.join(env.XDG_RUNTIME_DIR, 'hsmsign', 'agent.sock');
    return own && fs.existsSync(own) ? own : '/run/hsmsign/agent.sock';
}

class HsmsignError extends Error {
    constructor({ code, message, fix }) {
        super(`hsmsign: ${message} [${code}]${fix ? `; ${fix}` : ''}`);
        this.name = 'HsmsignError';
        this.code = code;
        this.fix = fix;
    }
}

let thread;

function start() {
    const signal = new Int32Array(new SharedArrayBuffer(4));
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(__filename, { workerData: { hsmsign: true, signal, port: port2 }, transferList: [port2], execArgv: [] });
    worker.unref();
    port1.unref();
    return { signal, port: port1, asked: 0 };
}

// Asks the agent; answers its answer where that is `ok`.
function ask(request) {
    thread ??= start();
    const { signal, port } = thread;
    const number = ++thread.asked;
    port.postMessage({ number, socket: socketPath(), line: `${JSON.stringify(request)}\n` });
    const end = Date.now() + TIMEOUT;
    for (;;) {
        const seen = Atomics.load(signal, 0);
        const got = receiveMessageOnPort(port);
        if (got && got.message.number === number) return read(got.message);
        if (!got && Atomics.wait(signal, 0, seen, Math.max(1, end - Date.now())) === 'timed-out' && Date.now() >= end) {
            thread = undefined;
            throw new HsmsignError({
                code: 'agent-unavailable',
                message: `the agent gave no answer in ${TIMEOUT / 1000} seconds; the request may have been signed`,
                fix: 'see `hsmsign agent status`',
            });
        }
    }
}

function read({ answer, error }) {
    if (error) {
        throw new HsmsignError({
            code: 'agent-unavailable',
            message: error,
            fix: 'start it with `hsmsign agent start`, or start the bot with `hsmsign run -- COMMAND`',
        });
    }
    const told = JSON.parse(answer);
    if (told.ok !== true) throw new HsmsignError(told.error ?? { code: 'failed', message: 'the answer has no error in it' });
    return told;
}

// The thread: one connection, kept open, and one request after the other.
function serve({ signal, port }) {
    const net = require('node:net');
    let held;
    const finish = (message) => {
        port.postMessage(message);
        Atomics.add(signal, 0, 1);
        Atomics.notify(signal, 0);
    };
    const connect = (socket) => {
        const stream = net.connect(socket);
        const connection = { socket, stream, waiting: undefined, text: '' };
        stream.setEncoding('utf8');
        stream.on('data', (data) => {
            connection.text += data;
            const end = connection.text.indexOf('\n');
            if (end >= 0 && connection.waiting) {
                const { number } = connection.waiting;
                connection.waiting = undefined;
                finish({ number, answer: connection.text.slice(0, end) });
                connection.text = '';
            }
        });
        const gone = (error) => {
            if (held === connection) held = undefined;
            const asked = connection.waiting;
            connection.waiting = undefined;
            if (!asked) return;
            // One that was kept open may have been closed while nobody looked.
            if (asked.kept) begin({ ...asked, kept: false });
            else finish({ number: asked.number, error: error ? `no agent answers at ${socket}: ${error.message}` : 'the agent went away' });
        };
        stream.on('error', gone);
        stream.on('close', () => gone());
        return connection;
    };
    const begin = (asked) => {
        const kept = held !== undefined && held.socket === asked.socket;
        if (!kept) {
            held?.stream.destroy();
            held = connect(asked.socket);
        }
        held.waiting = { ...asked, kept };
        held.stream.write(asked.line);
    };
    port.on('message', begin);
}

if (!isMainThread && workerData?.hsmsign === true && parentPort) serve(workerData);

module.exports = { ask, HsmsignError, socketPath };
