// A connection to the agent that is kept open: lines go out as they come, and the answers come in their order.

'use strict';

const net = require('node:net');
const { AgentUnavailable } = require('./errors.cjs');
const { LONGEST, TIMEOUT } = require('./line.cjs');

class Connection {
    constructor(path, timeout = TIMEOUT) {
        this.path = path;
        this.timeout = timeout;
        this.waiting = [];
    }

    // Sends a line; answers the answer's line, without its end.
    exchange(line) {
        return new Promise((resolve, reject) => this.#send({ line, resolve, reject, kept: this.stream?.answered === true }));
    }

    // Requests that wait for their answers fail: what was asked for is not sent again behind its caller's back.
    close() {
        const { stream, waiting } = this;
        this.stream = undefined;
        this.waiting = [];
        stream?.destroy();
        for (const asked of waiting) {
            clearTimeout(asked.timer);
            asked.reject(new AgentUnavailable('the signer was closed before the answer came; the request may have been signed', {
                fix: 'close a signer when its requests have their answers',
            }));
        }
    }

    #send(asked) {
        this.stream ??= this.#open();
        // An idle connection keeps no program from ending.
        this.stream.ref();
        asked.timer = setTimeout(() => this.#late(asked), this.timeout);
        this.waiting.push(asked);
        this.stream.write(asked.line);
    }

    #open() {
        const stream = net.connect(this.path);
        stream.setEncoding('utf8');
        stream.text = '';
        stream.on('data', (data) => this.#read(stream, data));
        stream.on('error', (error) => this.#gone(stream, error));
        stream.on('close', () => this.#gone(stream));
        return stream;
    }

    #read(stream, data) {
        if (stream !== this.stream) return;
        stream.text += data;
        for (let end = stream.text.indexOf('\n'); end >= 0; end = stream.text.indexOf('\n')) {
            const answer = stream.text.slice(0, end);
            stream.text = stream.text.slice(end + 1);
            const asked = this.waiting.shift();
            if (!asked) break;
            stream.answered = true;
            clearTimeout(asked.timer);
            asked.resolve(answer);
        }
        if (stream.text.length > LONGEST) stream.destroy();
        if (this.waiting.length === 0) stream.unref();
    }

    #gone(stream, error) {
        if (stream !== this.stream) return;
        this.stream = undefined;
        const lost = this.waiting;
        this.waiting = [];
        for (const asked of lost) {
            clearTimeout(asked.timer);
            // One that was kept open may have been closed while nobody looked, as by a restart of the agent.
            if (asked.kept) this.#send({ ...asked, kept: false });
            else asked.reject(new AgentUnavailable(error ? `no agent answers at ${this.path}: ${error.message}` : 'the agent went away'));
        }
    }

    #late(asked) {
        // What comes later would be taken for another's answer.
        this.waiting = this.waiting.filter((each) => each !== asked);
        this.stream?.destroy();
        asked.reject(new AgentUnavailable(`the agent gave no answer in ${this.timeout / 1000} seconds; the request may have been signed`, {
            fix: 'see `hsmsign agent status`',
        }));
    }
}

module.exports = { Connection };
