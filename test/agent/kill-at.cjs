// Loaded by node before the agent, where a test says so (NODE_OPTIONS): ends it, by SIGKILL, at the point that KILL_AT names. The
// product has no switch for it.
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');

const [when, what] = (process.env.KILL_AT ?? '').split(' ');
const die = () => process.kill(process.pid, 'SIGKILL');
if (what && process.argv.includes('--handed')) {
  const rename = fs.renameSync;
  fs.renameSync = (from, to) => {
    const isHit = String(to).includes(what);
    if (isHit && when === 'before') die();
    rename(from, to);
    if (isHit && when === 'after') die();
  };
  const end = http.ClientRequest.prototype.end;
  http.ClientRequest.prototype.end = function (...args) {
    const isHit = this.path.endsWith(`/${what}`);
    if (isHit && when === 'before') die();
    if (isHit && when === 'after') this.once('finish', () => setTimeout(die, 30));
    if (isHit && when === 'answered') this.once('response', die);
    return end.apply(this, args);
  };
  const listen = net.Server.prototype.listen;
  net.Server.prototype.listen = function (...args) {
    if (what !== 'listen') return listen.apply(this, args);
    if (when === 'before') die();
    return listen.apply(this, args).once('listening', die);
  };
}
