import hsmsign = require('hsmsign');

const error: hsmsign.HsmsignError = new hsmsign.AgentUnavailable('away');
console.log(error.fix.length, hsmsign.socketPath(process.env).length, new hsmsign.Signer('kraken').key);
