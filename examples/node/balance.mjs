// Has the agent sign a request with the key named by the first argument.

import net from 'node:net';
import readline from 'node:readline';

const { HSMSIGN_SOCKET, HSMSIGN_HOME, XDG_RUNTIME_DIR } = process.env;
const path = HSMSIGN_SOCKET ?? (HSMSIGN_HOME ? `${HSMSIGN_HOME}/agent.sock` : `${XDG_RUNTIME_DIR}/hsmsign/agent.sock`);

async function ask(request) {
    const agent = net.connect(path);
    agent.write(`${JSON.stringify(request)}\n`);
    for await (const line of readline.createInterface({ input: agent })) {
        agent.end();
        const answer = JSON.parse(line);
        if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message}; ${answer.error.fix}`);
        return answer;
    }
    throw new Error('the agent went away; the request may have been signed');
}

const signed = await ask({ key: process.argv[2], method: 'POST', path: '/0/private/Balance' });
console.log(signed.method, signed.url);
for (const [name, value] of Object.entries(signed.headers)) console.log(`${name}: ${value}`);
console.log(signed.body);
