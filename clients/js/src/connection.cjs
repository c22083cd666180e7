// A connection to the agent that is kept open: lines go out as they come, and the answers come in their order.

'use strict';

const net = require('node:net');
const { AgentUnavailable } = require('./errors.cjs');
const { LONGEST, TIMEOUT } = require('./line.cjs');

// How long a new connection is listened to before the lines go out that the one before it did not take, in milliseconds: an agent
// that refuses a connection says why and closes it, and Node reads nothing any more where writing failed.
const LISTENS = 250;
// What the kernel says where the agent closed the connection before it had read all.
const UNHEARD = ['EPIPE', 'ECONNRESET'];

class Connection {
    constructor(path, timeout = TIMEOUT) {
        this.path = path;
        this.timeout = timeout;
        this.waiting = [];
    }

    // Sends a line; answers the answer's line, without its end.
    exchange(line) {
        return new Promise((resolve, reject) => {
            this.#send({ line, resolve, reject, kept: this.stream?.answers > 0, tries: 0, perhaps: false });
        });
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

    #send(asked, listens = false) {
        this.stream ??= this.#open(listens);
        // An idle connection keeps no program from ending.
        this.stream.ref();
        asked.timer = setTimeout(() => this.#late(asked), this.timeout);
        this.waiting.push(asked);
        this.stream.write(asked.line);
    }

    #open(listens) {
        const stream = net.connect(this.path);
        stream.setEncoding('utf8');
        stream.text = '';
        stream.answers = 0;
        if (listens) {
            stream.cork();
            setTimeout(() => stream.uncork(), LISTENS);
        }
        stream.on('connect', () => { stream.there = true; });
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
            stream.answers += 1;
            stream.last = answer;
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
        const unheard = UNHEARD.includes(error?.code);
        // Who is refused is answered once, whatever was asked.
        const refused = stream.answers === 1 && isBusy(stream.last);
        for (const asked of lost) {
            clearTimeout(asked.timer);
            const perhaps = asked.perhaps || (stream.there === true && !unheard);
            // One that was kept open may have been closed while nobody looked, as by a restart of the agent.
            if (refused && !asked.kept) asked.resolve(stream.last);
            else if (asked.tries === 0 && (asked.kept || unheard)) this.#send({ ...asked, kept: false, tries: 1, perhaps }, !asked.kept);
            else asked.reject(gone(this.path, stream.there === true, error, perhaps));
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

// Whether an answer says that the agent can take no more.
function isBusy(answer) {
    try {
        const told = JSON.parse(answer);
        return told.ok === false && told.error.code === 'token-busy';
    } catch {
        return false;
    }
}

// Why there is no answer; `there` says whether there was a connection, `perhaps` whether the request may have been signed.
function gone(path, there, error, perhaps) {
    const may = perhaps ? '; the request may have been signed' : '';
    if (there) {
        const what = perhaps ? 'the agent went away' : 'the agent ended before it took the request';
        const why = error ? `: ${error.message}` : '';
        return new AgentUnavailable(`${what}${why}${may || '; it was not signed'}`, { fix: 'see `hsmsign agent status`, and try again' });
    }
    if (error?.code === 'EACCES') {
        return new AgentUnavailable(`the agent at ${path} does not let this user in${may}`, {
            fix: 'its administrator adds the user to the group of bots, as in: usermod -aG hsmsign-bots USER; then log in again',
        });
    }
    return new AgentUnavailable(`no agent answers at ${path}: ${error?.message ?? 'it closed the connection'}${may}`);
}

module.exports = { Connection };
