// The agent's socket, asked without waiting in the event loop: ccxt signs in functions that answer at once. A thread of its own
// speaks to the agent, and this one sleeps until the answer is there.

'use strict';

const { Worker, MessageChannel, receiveMessageOnPort, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { AgentUnavailable } = require('../src/errors.cjs');
const { TIMEOUT, answerOf, socketPath } = require('../src/line.cjs');

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
    // A clock that no program sets.
    const end = performance.now() + TIMEOUT;
    for (;;) {
        const seen = Atomics.load(signal, 0);
        const got = receiveMessageOnPort(port);
        if (got && got.message.number === number) return read(got.message);
        if (!got && Atomics.wait(signal, 0, seen, Math.max(1, end - performance.now())) === 'timed-out' && performance.now() >= end) {
            thread = undefined;
            throw new AgentUnavailable(`the agent gave no answer in ${TIMEOUT / 1000} seconds; the request may have been signed`, {
                fix: 'see `hsmsign agent status`',
            });
        }
    }
}

function read({ answer, error }) {
    if (error) throw new AgentUnavailable(error.reason, { fix: error.fix });
    return answerOf(answer);
}

// The thread: one connection, kept open, and one request after the other.
function serve({ signal, port }) {
    const { Connection } = require('../src/connection.cjs');
    let held;
    port.on('message', async ({ number, socket, line }) => {
        const message = { number };
        try {
            if (held?.path !== socket) {
                held?.close();
                held = new Connection(socket, 2 * TIMEOUT);
            }
            message.answer = await held.exchange(line);
        } catch (error) {
            message.error = { reason: error.reason ?? String(error), fix: error.fix };
        }
        port.postMessage(message);
        Atomics.add(signal, 0, 1);
        Atomics.notify(signal, 0);
    });
}

if (!isMainThread && workerData?.hsmsign === true && parentPort) serve(workerData);

module.exports = { ask };
